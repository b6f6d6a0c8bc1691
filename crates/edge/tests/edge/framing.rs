//! Heads and bodies that two readers could read differently, and those that are
//! too much: each is refused by the edge itself, and nothing after it is read.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use pando_edge::Limits;
use pando_edge::limits::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_URL_BYTES};

use crate::support::{App, Stand, answering};

/// Answers with the request's target and body.
async fn mirror() -> App {
    answering(|request| async move {
        let mut text = format!("{} ", request.uri()).into_bytes();
        let Ok(body) = request.into_body().collect().await else {
            return http::Response::new(
                Full::from("broken").map_err(|never| match never {}).boxed_unsync(),
            );
        };
        text.extend(body.to_bytes());
        http::Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync())
    })
    .await
}

/// Sends `request` and all that follows it at once; expects one refusal and the
/// end of the connection.
async fn refused(stand: &Stand, request: &str, status: u16) {
    let mut wire = stand.connect().await;
    wire.send(request).await;
    let shown: String = request.chars().take(200).collect();
    let answer = wire.answer().await;
    assert_eq!(answer.status, status, "{shown:?}: {}", answer.text());
    assert_eq!(answer.header("x-robots-tag"), Some("noindex"), "{shown:?}");
    assert_eq!(answer.header("connection"), Some("close"), "{shown:?}");
    assert!(answer.json()["error"].as_str().is_some_and(|error| !error.is_empty()), "{shown:?}");
    let rest = wire.rest().await;
    assert!(rest.is_empty(), "{shown:?}: {}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn ambiguous_framing_is_refused_and_smuggles_nothing() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    for host in [host.as_str(), "localhost:7070", "nobody.preview.localhost"] {
        let smuggled = format!("GET /smuggled HTTP/1.1\r\nhost: {host}\r\n\r\n");
        for lines in [
            "content-length: 4\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
            "content-length: 5\r\ncontent-length: 6\r\n",
            "content-length: 5\r\ncontent-length: 5\r\n",
            "content-length: 5, 5\r\n",
            "content-length: +5\r\n",
            "content-length: 0x5\r\n",
            "content-length: 5 \u{b}\r\n",
            "content-length : 5\r\n",
            "content-length: 99999999999999999999\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: chunked, identity\r\n",
            "transfer-encoding: chunked, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: xchunked\r\n",
            "transfer-encoding: chunked;q=1\r\n",
            "transfer-encoding: chunked,\r\n",
            "transfer-encoding: \"chunked\"\r\n",
            "transfer-encoding: chunked\0\r\n",
            "transfer-encoding: cow\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding\u{b}: chunked\r\n",
            "\ttransfer-encoding: chunked\r\n",
            "transfer-encoding: \u{b}chunked\r\n",
            "transfer-encoding : chunked\r\n",
            "transfer-encoding:\r\n chunked\r\n",
            "x: y\r\n content-length: 5\r\n",
            "x: y\n",
            "x: y\rcontent-length: 5\r\n",
            "x\0: y\r\n",
            "x: \0\r\n",
            "content-length: 5\n",
            ": y\r\n",
            "x\r\n",
        ] {
            let request =
                format!("POST / HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n0\r\n\r\n{smuggled}");
            refused(&stand, &request, 400).await;
        }
        for head in [
            format!("POST / HTTP/1.0\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n"),
            format!("POST / HTTP/1.1\nhost: {host}\n\n"),
            format!("GET / HTTP/1.1\r\nhost: {host}\r\n\n"),
            format!("GET / HTTP/2.0\r\nhost: {host}\r\n\r\n"),
            format!("GET  / HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            format!("GET /\r\nhost: {host}\r\n\r\n"),
            format!(" GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            format!("\r\n\r\nGET / HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            format!("GET /a\u{1}b HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            format!("GET http://[ HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        ] {
            refused(&stand, &format!("{head}{smuggled}"), 400).await;
        }
    }
    assert_eq!(stand.world.connects(), 0, "a refused request reached an app");
}

#[tokio::test]
async fn a_refusal_takes_its_turn() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    let good = format!("GET /first HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let bad = format!("GET /second HTTP/1.1\r\nhost: {host}\r\ncontent-length: x\r\n\r\n");
    wire.send(format!("{good}{good}{bad}{good}")).await;
    for _ in 0..2 {
        assert_eq!(wire.answer().await.text(), "/first ");
    }
    assert_eq!(wire.answer().await.status, 400);
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte_and_many_at_once() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.stream.set_nodelay(true).unwrap();
    let head = format!("POST /slow HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n");
    for byte in format!("{head}5;x=y\r\nhello\r\n0\r\nx: y\r\n\r\n").bytes() {
        wire.send([byte]).await;
    }
    assert_eq!(wire.answer().await.text(), "/slow hello");
    let next = format!("{head}2\r\nhi\r\n0\r\n\r\n\r\nGET /fast HTTP/1.1\r\nhost: {host}\r\n\r\n");
    wire.send(next).await;
    assert_eq!(wire.answer().await.text(), "/slow hi");
    assert_eq!(wire.answer().await.text(), "/fast ");
}

#[tokio::test]
async fn a_body_that_breaks_its_framing_is_the_clients_fault() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let (extension, trailer) = (format!("5;{}", "x".repeat(1 << 20)), "y".repeat(1 << 20));
    for body in [
        &extension,
        &format!("0\r\nx: {trailer}\r\n\r\n"),
        &format!("0\r\n{}\r\n", "x: y\r\n".repeat(1 << 17)),
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5\0\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\t \r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0 \r\n\r\n",
        "0005 5\nhello",
        "10000000000000005\r\nhello",
        "x\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "-1\r\n",
        "0\r\nx: y\n\r\n",
    ] {
        let mut wire = stand.connect().await;
        let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n");
        wire.send(format!("{head}{body}GET /smuggled HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        let answer = wire.answer().await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!(answer.status, 400, "{shown:?}: {}", answer.text());
        let rest = String::from_utf8_lossy(&wire.rest().await).into_owned();
        assert!(rest.is_empty(), "{shown:?}: {rest}");
    }
}

#[tokio::test]
async fn what_is_too_much_has_its_own_answer() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    let fits = format!("x-big: {}\r\n", "a".repeat(MAX_HEADER_BYTES - 1024));
    assert_eq!(wire.get(&host, "/", &fits).await.status, 200);
    let fits = "a: b\r\n".repeat(MAX_HEADERS - 1);
    assert_eq!(wire.get(&host, "/", &fits).await.status, 200);
    let fits = format!("/{}", "a".repeat(MAX_URL_BYTES - 1));
    assert_eq!(wire.get(&host, &fits, "").await.status, 200);

    let head =
        |target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n");
    let megabyte = "a".repeat(1024 * 1024);
    refused(&stand, &head("/", &format!("x-big: {}\r\n", "a".repeat(MAX_HEADER_BYTES))), 431).await;
    refused(&stand, &head("/", &format!("x-big: {megabyte}\r\n")), 431).await;
    refused(&stand, &head("/", &"a: b\r\n".repeat(MAX_HEADERS)), 431).await;
    refused(&stand, &head("/", &"a: b\r\n".repeat(100_000)), 431).await;
    refused(&stand, &head(&format!("/{}", "a".repeat(MAX_URL_BYTES)), ""), 414).await;
    refused(&stand, &head(&format!("/{megabyte}"), ""), 414).await;
    refused(&stand, &head(&format!("/?{megabyte}"), ""), 414).await;
}

#[tokio::test]
async fn an_expectation_that_nobody_knows_fails() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    for host in [host.as_str(), "localhost:7070", "nobody.preview.localhost"] {
        for expect in ["200-ok", "100-continue, x", "100-continue;q=1"] {
            let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\nexpect: {expect}\r\n");
            refused(&stand, &format!("{head}content-length: 5\r\n\r\nhello"), 417).await;
        }
    }
    assert_eq!(stand.world.connects(), 0, "a refused request reached an app");
}

#[tokio::test]
async fn a_head_has_its_time() {
    let stand =
        Stand::with(Limits { header_read: Duration::from_millis(100), ..Limits::default() }).await;
    // Some of a head, then nothing; and a little now and then.
    refused(&stand, "GET / HTTP/1.1\r\nhost: local", 408).await;
    let mut wire = stand.connect().await;
    wire.send("GET / HTTP/1.1\r\n").await;
    let mut answered = false;
    for _ in 0..1000 {
        let mut peek = [0; 1];
        tokio::select! {
            peeked = wire.stream.peek(&mut peek) => {
                answered = peeked.is_ok_and(|count| count > 0);
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(10)) => wire.send("a: b\r\n").await,
        }
    }
    assert!(answered);
    assert_eq!(wire.answer().await.status, 408);
    // A connection that says nothing at all ends without a word.
    assert!(stand.connect().await.rest().await.is_empty());
}
