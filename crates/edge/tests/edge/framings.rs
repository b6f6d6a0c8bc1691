//! Answers in every framing that an app may choose, in pieces of every size, and
//! those that are no answers.

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{App, Client2, Stand, raw, within};

/// Says `script` to each request, in pieces of `piece` bytes, and closes where it
/// is told to.
async fn saying(script: String, piece: usize, closes: bool) -> App {
    raw(move |mut stream| {
        let script = script.clone();
        async move {
            stream.set_nodelay(true).unwrap();
            while stream.read(&mut [0; 2048]).await.is_ok_and(|count| count > 0) {
                for piece in script.as_bytes().chunks(piece) {
                    if stream.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                if closes {
                    return;
                }
            }
        }
    })
    .await
}

fn chunked(text: &str, size: usize) -> String {
    let chunks = text.as_bytes().chunks(size);
    let chunks = chunks.map(|chunk| {
        format!("{:x};x=y\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap())
    });
    chunks.collect::<String>() + "0\r\n"
}

#[tokio::test]
async fn a_body_arrives_whole_in_every_framing() {
    let text: String = (0..3000).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    let length = format!("HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n{text}");
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
    let scripts = [
        (length.clone(), false),
        (
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n{length}"
            ),
            false,
        ),
        (length.replace("HTTP/1.1", "HTTP/1.0"), true),
        (format!("HTTP/1.0 200 OK\r\n\r\n{text}"), true),
        (format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{text}"), true),
        (format!("{head}{}\r\n", chunked(&text, 7)), false),
        (format!("{head}{}x-sum: 42\r\n\r\n", chunked(&text, 1000)), false),
        (
            format!("{head}{}\r\n", chunked(&text, 3000))
                .replace("\r\n\r\n", "\r\ncontent-length: 5\r\n\r\n")
                .replacen("0\r\ncontent-length: 5\r\n", "0\r\n", 1),
            false,
        ),
        (length.replace("length: 3000", "length: 3000\r\nContent-Length: 3000"), false),
    ];
    let stand = Stand::new().await;
    let mut wire = stand.connect().await;
    for (at, (script, closes)) in scripts.into_iter().enumerate() {
        for piece in [1, 11, 1500, 100_000] {
            let app = saying(script.clone(), piece, closes).await;
            let (_, host) = stand.sandbox(&app);
            for _ in 0..2 {
                let answer = wire.get(&host, "/", "").await;
                assert_eq!(answer.status, 200, "script {at} in pieces of {piece}");
                assert!(answer.text() == text, "script {at} in pieces of {piece}");
            }
        }
    }
}

#[tokio::test]
async fn an_unframed_remainder_is_nobodys_answer() {
    // The second answer came before it was asked for: it must not be given to whoever
    // asks next.
    let twice = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let app = saying(twice.to_owned(), 1000, false).await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    for _ in 0..5 {
        assert_eq!(wire.get(&host, "/", "").await.text(), "ok");
    }
    assert_eq!(stand.world.connects(), 5);
}

#[tokio::test]
async fn what_is_no_answer_is_told() {
    let stand = Stand::new().await;
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(50);
    for script in [
        "<html>not HTTP</html>\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent",
        &large,
        &many,
        &hints,
    ] {
        let app = saying(script.to_owned(), 4096, true).await;
        let (_, host) = stand.sandbox(&app);
        let mut wire = stand.connect().await;
        let answer = wire.get(&host, "/", "").await;
        let shown: String = script.chars().take(60).collect();
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (502, Some("guest_failed")),
            "{shown:?}"
        );
    }
}

#[tokio::test]
async fn half_a_body_breaks_off() {
    let stand = Stand::new().await;
    for script in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalfx",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nno trailer\r\n\r\n",
    ] {
        let app = saying(script.to_owned(), 4096, true).await;
        let (_, host) = stand.sandbox(&app);
        let mut wire = stand.connect().await;
        wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        assert_eq!(wire.head().await.status, 200);
        // What there was arrives, and neither the whole length nor a last chunk: the
        // client knows.
        let rest = String::from_utf8(wire.rest().await).unwrap();
        assert!(rest.contains("half") && !rest.ends_with("0\r\n\r\n"), "{script:?}: {rest:?}");

        let mut client = Client2::connect(&stand).await;
        let request = client.get(&host, "/").body(Client2::empty()).unwrap();
        let mut body = client.request(request).await.unwrap().into_body();
        let frame = within(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "half", "{script:?}");
        assert!(within(body.frame()).await.unwrap().is_err(), "{script:?}");
    }
}

#[tokio::test]
async fn a_reader_that_takes_its_time_holds_the_app_back() {
    // An endless answer: were it not held back, memory would be the limit.
    let (sent, mut sends) = tokio::sync::watch::channel(0_usize);
    let app = raw(move |mut stream| {
        let sent = sent.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {
                sent.send_modify(|sent| *sent += 64 * 1024);
            }
        }
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    wire.head().await;
    // Until nothing moves any more: the sockets' buffers are full.
    let stalled = async {
        loop {
            let before = *sends.borrow_and_update();
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            if before > 0 && *sends.borrow() == before {
                return before;
            }
        }
    };
    let buffered = within(stalled).await;
    assert!(buffered < 64 * 1024 * 1024, "{buffered} bytes were taken from the app");
}
