//! Stopping: what ends by itself is waited for, what never ends is ended, and
//! what takes too long is cut.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use pando_edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Stand, answering, raw, within};
use crate::tunnels::{echo, open};

/// The time that is never used up in these tests, unless a test says so.
fn patient() -> Limits {
    Limits {
        drain: Duration::from_secs(600),
        tunnel_drain: Duration::from_millis(100),
        ..Limits::default()
    }
}

#[tokio::test]
async fn open_tunnels_and_event_streams_do_not_hold_the_server() {
    let events = answering(|_request| async {
        let first = stream::iter([Ok::<_, hyper::Error>(Frame::data("data: 1\n\n".into()))]);
        Response::builder()
            .header("content-type", "text/event-stream; charset=utf-8")
            .body(StreamBody::new(first.chain(stream::pending())).boxed_unsync())
            .unwrap()
    })
    .await;
    let sockets = echo().await;
    let mut stand = Stand::with(patient()).await;
    let (_, events) = stand.sandbox(&events);
    let (_, sockets) = stand.sandbox(&sockets);

    let mut reader = stand.connect().await;
    reader.send(format!("GET / HTTP/1.1\r\nhost: {events}\r\n\r\n")).await;
    reader.head().await;
    reader.chunk().await.unwrap();
    let mut socket = open(&stand, &sockets).await;
    let idle = stand.connect().await;

    stand.stop();
    // The stream ends as a body ends, so that a browser takes it up again.
    assert_eq!(reader.chunk().await, None);
    while within(socket.next()).await.is_some_and(|message| message.is_ok()) {}
    drop((reader, socket, idle));
    stand.stopped().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered() {
    let (go, gate) = tokio::sync::watch::channel(false);
    let app = raw(move |mut stream| {
        let mut gate = gate.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            gate.wait_for(|open| *open).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate").await.unwrap();
        }
    })
    .await;
    let mut stand = Stand::with(patient()).await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    while stand.world.connects() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stand.stop();
    // Nobody new is let in meanwhile.
    while tokio::net::TcpStream::connect(stand.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    go.send(true).unwrap();
    assert_eq!(wire.answer().await.text(), "late");
    assert!(wire.rest().await.is_empty());
    drop(wire);
    stand.stopped().await;
}

#[tokio::test]
async fn what_takes_too_long_is_cut() {
    let app = raw(|mut stream| async move {
        while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let mut stand =
        Stand::with(Limits { drain: Duration::from_millis(100), ..Limits::default() }).await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    while stand.world.connects() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stand.stop();
    stand.stopped().await;
    assert!(wire.rest().await.is_empty());
}
