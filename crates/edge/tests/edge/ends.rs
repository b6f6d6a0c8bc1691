//! Ends: of a client that has said all, of one that left, and of a sandbox.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use pando_edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{App, Stand, raw, within};
use crate::tunnels::{echo, open};

/// Answers once it is told to, with `head` and the word `late`.
async fn gated(head: &'static str) -> (App, tokio::sync::watch::Sender<bool>) {
    let (go, gate) = tokio::sync::watch::channel(false);
    let app = raw(move |mut stream| {
        let mut gate = gate.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = gate.wait_for(|open| *open).await;
            let _ = stream.write_all(format!("{head}\r\n\r\nlate").as_bytes()).await;
            while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
        }
    })
    .await;
    (app, go)
}

#[tokio::test]
async fn a_client_that_has_said_all_is_answered() {
    let (app, go) = gated("HTTP/1.1 200 OK\r\ncontent-length: 4").await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\nhi")).await;
    within(wire.stream.shutdown()).await.unwrap();
    while stand.world.connects() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    go.send(true).unwrap();
    assert_eq!(wire.answer().await.text(), "late");
    assert!(wire.rest().await.is_empty());
    // The API's clients, too.
    let mut wire = stand.connect().await;
    wire.send("GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    within(wire.stream.shutdown()).await.unwrap();
    assert_eq!(wire.answer().await.text(), "the API at /x");
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn nobody_is_waited_for_without_end() {
    let (app, _never) = gated("").await;
    let stand =
        Stand::with(Limits { half_closed: Duration::from_millis(100), ..Limits::default() }).await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    within(wire.stream.shutdown()).await.unwrap();
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn a_client_of_the_api_that_closes_has_left() {
    let limits = Limits {
        half_closed: Duration::from_secs(600),
        api_half_closed: Duration::from_millis(100),
        ..Limits::default()
    };
    let stand = Stand::with(limits).await;
    let mut wire = stand.connect().await;
    wire.send("POST /never HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").await;
    within(wire.stream.shutdown()).await.unwrap();
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn half_an_upload_is_no_request() {
    let app = raw(|mut stream| async move {
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen).await;
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 9\r\n\r\nhalf")).await;
    within(wire.stream.shutdown()).await.unwrap();
    let rest = String::from_utf8(wire.rest().await).unwrap();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400 "), "{rest}");
}

#[tokio::test]
async fn an_unused_connection_is_closed_in_time() {
    let stand =
        Stand::with(Limits { keep_alive: Duration::from_millis(100), ..Limits::default() }).await;
    let mut wire = stand.connect().await;
    assert_eq!(wire.get("localhost", "/", "").await.status, 200);
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn all_that_leads_into_a_sandbox_ends_with_it() {
    let sockets = echo().await;
    let events = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\na\n\n\r\n";
        let _ = stream.write_all(head.as_bytes()).await;
        while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let (silent, _never) = gated("").await;
    let stand =
        Stand::with(Limits { half_closed: Duration::from_secs(600), ..Limits::default() }).await;
    let (sandbox, host) = stand.sandbox(&sockets);
    stand.world.reach(sandbox, 4000, crate::support::Reach::At(events.address));
    stand.world.reach(sandbox, 5000, crate::support::Reach::At(silent.address));
    let (_, neighbour) = stand.sandbox(&sockets);
    let port = |port: &str| host.replacen("3000", port, 1);

    let mut socket = open(&stand, &host).await;
    let mut other = open(&stand, &neighbour).await;
    let mut reader = stand.connect().await;
    reader.send(format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", port("4000"))).await;
    reader.head().await;
    reader.chunk().await.unwrap();
    let mut waiting = stand.connect().await;
    let before = stand.world.connects();
    waiting
        .send(format!("POST / HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n\r\n", port("5000")))
        .await;
    while stand.world.connects() == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    stand.edge.forget(sandbox);
    while within(socket.next()).await.is_some_and(|message| message.is_ok()) {}
    // A stream of events ends as a body ends, so that a browser takes it up again.
    assert_eq!(reader.chunk().await, None);
    assert_eq!(waiting.answer().await.status, 502);
    // Neighbours notice nothing, and the sandbox is reached again as soon as it is back.
    within(other.send(Message::text("still here"))).await.unwrap();
    assert_eq!(within(other.next()).await.unwrap().unwrap(), Message::text("still here"));
    let mut again = open(&stand, &host).await;
    within(again.send(Message::text("anew"))).await.unwrap();
    assert_eq!(within(again.next()).await.unwrap().unwrap(), Message::text("anew"));
}
