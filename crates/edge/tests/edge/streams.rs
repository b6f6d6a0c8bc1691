//! Bodies in both directions: large, endless, early, and none at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use pando_edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::support::{App, Client2, Stand, answering, bodiless, raw, trailing, within};

const LARGE: usize = 50 * 1024 * 1024;
const BLOCK: usize = 64 * 1024;

fn pattern(at: usize) -> u8 {
    (at % BLOCK % 251) as u8
}

#[tokio::test]
async fn fifty_megabytes_pass_each_way() {
    let app = answering(|request| async move {
        // The body goes back as it comes: both directions run at once.
        Response::new(request.into_body().boxed_unsync())
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    for chunked in [false, true] {
        let wire = stand.connect().await;
        let (mut reads, mut writes) = wire.stream.into_split();
        let framing = if chunked {
            "transfer-encoding: chunked".to_owned()
        } else {
            format!("content-length: {LARGE}")
        };
        let head =
            format!("POST / HTTP/1.1\r\nhost: {host}\r\n{framing}\r\nconnection: close\r\n\r\n");
        let upload = async move {
            writes.write_all(head.as_bytes()).await.unwrap();
            let block: Vec<u8> = (0..BLOCK).map(pattern).collect();
            for _ in 0..LARGE / block.len() {
                if chunked {
                    writes.write_all(b"10000\r\n").await.unwrap();
                }
                writes.write_all(&block).await.unwrap();
                if chunked {
                    writes.write_all(b"\r\n").await.unwrap();
                }
            }
            if chunked {
                writes.write_all(b"0\r\n\r\n").await.unwrap();
            }
            writes
        };
        let download = async {
            let mut seen = Vec::new();
            reads.read_to_end(&mut seen).await.unwrap();
            seen
        };
        let (_writes, seen) = within(async { tokio::join!(upload, download) }).await;
        assert!(seen.len() > LARGE, "only {} bytes came back", seen.len());
        if !chunked {
            let body = &seen[seen.len() - LARGE..];
            let intact = body.iter().enumerate().all(|(at, byte)| *byte == pattern(at));
            assert!(intact, "the body was changed on its way");
        }
    }
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    // The app sends the next event only after the test has seen the one before.
    let next = Arc::new(Semaphore::new(0));
    let released = Arc::clone(&next);
    let app = answering(move |_request| {
        let next = Arc::clone(&released);
        async move {
            let events = stream::unfold((0, next), |(count, next)| async move {
                next.acquire().await.unwrap().forget();
                let event = Bytes::from(format!("data: {count}\n\n"));
                Some((Ok::<_, hyper::Error>(Frame::data(event)), (count + 1, next)))
            });
            Response::builder()
                .header("content-type", "text/event-stream")
                .body(StreamBody::new(events).boxed_unsync())
                .unwrap()
        }
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    assert_eq!(wire.head().await.header("content-type"), Some("text/event-stream"));
    for count in 0..3 {
        next.add_permits(1);
        let event = wire.chunk().await.unwrap();
        assert_eq!(event, format!("data: {count}\n\n").into_bytes());
    }
}

#[tokio::test]
async fn an_app_learns_that_its_reader_left() {
    let (left, gone) = tokio::sync::oneshot::channel::<()>();
    let left = Arc::new(std::sync::Mutex::new(Some(left)));
    let app = raw(move |mut stream| {
        let left = Arc::clone(&left);
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
                .await
                .unwrap();
            while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
            left.lock().unwrap().take().unwrap().send(()).unwrap();
        }
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    wire.head().await;
    wire.chunk().await.unwrap();
    drop(wire);
    within(gone).await.unwrap();
}

#[tokio::test]
async fn trailers_pass_without_what_is_reserved() {
    let app = trailing().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\nte: trailers\r\ntrailer: x-sum\r\n");
    let body = "transfer-encoding: chunked\r\nconnection: te, close\r\n\r\n1\r\na\r\n0\r\nx-sum: 42\r\n\r\n";
    wire.send(head + body).await;
    assert_eq!(wire.head().await.header("transfer-encoding"), Some("chunked"));
    let rest = String::from_utf8(wire.rest().await).unwrap();
    assert!(rest.contains("\r\nx-sum: 42\r\n"), "{rest}");
    assert!(!rest.contains("pando"), "{rest}");
}

#[tokio::test]
async fn answers_without_a_body_keep_their_headers() {
    let app = bodiless().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("HEAD /x HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    let head = wire.head().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("1234")));
    let unchanged = wire.get(&host, "/304", "if-none-match: \"v1\"\r\n").await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some("\"v1\"")));
    assert_eq!(wire.get(&host, "/204", "").await.status, 204);
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let app = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nold style").await.unwrap();
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    assert_eq!(wire.get(&host, "/", "").await.text(), "old style");
    assert_eq!(wire.get(&host, "/", "").await.text(), "old style");
}

#[tokio::test]
async fn an_answer_to_half_an_upload_arrives() {
    // The app refuses as soon as it sees the head, and closes with the rest unread.
    let app = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 9\r\n\r\ntoo large")
            .await
            .unwrap();
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    for _ in 0..20 {
        let wire = stand.connect().await;
        let (mut reads, mut writes) = wire.stream.into_split();
        let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {LARGE}\r\n\r\n");
        let upload = tokio::spawn(async move {
            // Sends on until nobody takes it any more, never reading before.
            writes.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..64 {
                if writes.write_all(&[b'x'; 64 * 1024]).await.is_err() {
                    break;
                }
            }
            writes
        });
        let mut seen = Vec::new();
        while !seen.ends_with(b"too large") {
            let count = within(reads.read_buf(&mut seen)).await.unwrap();
            assert!(count > 0, "ended early: {:?}", String::from_utf8_lossy(&seen));
        }
        assert!(seen.starts_with(b"HTTP/1.1 413 "));
        drop(reads);
        drop(within(upload).await.unwrap());
    }
}

#[tokio::test]
async fn a_body_is_asked_for_only_once_its_app_is_there() {
    let app = answering(|request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync())
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let expect = "content-length: 5\r\nexpect: 100-continue\r\n";

    let mut wire = stand.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nhost: {host}\r\n{expect}\r\n")).await;
    assert_eq!(wire.head().await.status, 100);
    wire.send("hello").await;
    assert_eq!(wire.answer().await.text(), "hello");

    let mut wire = stand.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nhost: nobody.preview.localhost\r\n{expect}\r\n")).await;
    assert_eq!(wire.answer().await.status, 404);
}

#[tokio::test]
async fn the_edge_too_may_answer_to_half_an_upload() {
    let stand = Stand::new().await;
    let mut wire = stand.connect().await;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: nobody.preview.localhost\r\ncontent-length: {LARGE}\r\n\r\n"
    );
    wire.send(head).await;
    for _ in 0..64 {
        // Whoever sends on must not lose the answer to a reset.
        wire.send([b'x'; BLOCK]).await;
    }
    assert_eq!(wire.answer().await.status, 404);
}

/// Takes a request's head and nothing of its body until it is told to answer.
async fn deaf() -> (App, tokio::sync::watch::Sender<bool>) {
    let (go, gate) = tokio::sync::watch::channel(false);
    let app = raw(move |mut stream| {
        let mut gate = gate.clone();
        async move {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = gate.wait_for(|open| *open).await;
            let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\n\r\ntoo large";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (app, go)
}

/// Waits until `count` stands still.
async fn still(count: &AtomicUsize) -> usize {
    loop {
        let before = count.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
        if before > 0 && count.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

#[tokio::test]
async fn ten_gigabytes_are_never_held() {
    let stand = Stand::new().await;
    for framing in ["content-length: 10737418240", "transfer-encoding: chunked"] {
        let (app, go) = deaf().await;
        let (_, host) = stand.sandbox(&app);
        let (mut reads, mut writes) = stand.connect().await.stream.into_split();
        let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\n{framing}\r\n\r\n");
        let block = [b"10000\r\n", &[b'x'; BLOCK][..], b"\r\n"].concat();
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let upload = tokio::spawn(async move {
            writes.write_all(head.as_bytes()).await.unwrap();
            while writes.write_all(&block).await.is_ok() {
                counted.fetch_add(BLOCK, Ordering::SeqCst);
            }
        });
        let held = within(still(&taken)).await;
        assert!(held < LARGE, "{framing}: {held} bytes were taken");
        go.send(true).unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"too large") {
            let count = within(reads.read_buf(&mut seen)).await.unwrap();
            assert!(count > 0, "{framing}: {:?}", String::from_utf8_lossy(&seen));
        }
        within(upload).await.unwrap();
    }

    let (app, go) = deaf().await;
    let (_, host) = stand.sandbox(&app);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let endless = stream::repeat_with(move || {
        counted.fetch_add(BLOCK, Ordering::SeqCst);
        Ok(Frame::data(Bytes::from(vec![b'x'; BLOCK])))
    });
    let mut client = Client2::connect(&stand).await;
    let request = http::Request::builder().method("POST").uri(format!("http://{host}/"));
    let request = request.body(StreamBody::new(endless).boxed_unsync()).unwrap();
    let answer = tokio::spawn(async move { client.request(request).await });
    let held = within(still(&taken)).await;
    assert!(held < LARGE, "HTTP/2: {held} bytes were taken");
    go.send(true).unwrap();
    assert_eq!(within(answer).await.unwrap().unwrap().status(), 413);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let (left, mut leaves) = tokio::sync::mpsc::channel(1);
    let app = raw(move |mut stream| {
        let left = left.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; BLOCK]).await.is_ok() {}
            left.send(()).await.unwrap();
        }
    })
    .await;
    let stand =
        Stand::with(Limits { write_stall: Duration::from_millis(200), ..Limits::default() }).await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    within(leaves.recv()).await.unwrap();
    drop(wire);
}
