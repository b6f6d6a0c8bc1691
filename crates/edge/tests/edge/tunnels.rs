//! Switched protocols: WebSocket, anything else, and what may not be switched to.

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{App, Stand, raw, within};

pub async fn echo() -> App {
    raw(|stream| async move {
        let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let (sink, stream) = socket.split();
        let texts = stream.take_while(|message| {
            let text = message.as_ref().is_ok_and(|message| !message.is_close());
            async move { text }
        });
        let _ = texts.forward(sink).await;
    })
    .await
}

pub async fn open(stand: &Stand, host: &str) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(stand.address).await.unwrap();
    let url = format!("ws://{host}/socket");
    let (socket, response) = within(tokio_tungstenite::client_async(url, stream)).await.unwrap();
    assert_eq!(response.headers()["x-robots-tag"], "noindex");
    socket
}

#[tokio::test]
async fn a_websocket_echoes() {
    let app = echo().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut socket = open(&stand, &host).await;
    for size in [1, 100, 1024 * 1024] {
        let message = Message::text("x".repeat(size));
        within(socket.send(message.clone())).await.unwrap();
        assert_eq!(within(socket.next()).await.unwrap().unwrap(), message);
    }
    within(socket.close(None)).await.unwrap();
    while within(socket.next()).await.is_some_and(|message| message.is_ok()) {}
}

/// Switches to whatever is asked for, then reads to the end before it answers.
async fn half_closer() -> App {
    raw(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        let switch =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\nhello ";
        stream.write_all(switch.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        said.reverse();
        stream.write_all(&said).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn each_direction_of_a_tunnel_ends_by_itself() {
    let app = half_closer().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    // The first bytes of the new protocol may come with the request.
    let head =
        format!("POST / HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: tcp\r\n");
    wire.send(head + "\r\nabc").await;
    let head = wire.head().await;
    assert_eq!((head.status, head.header("upgrade")), (101, Some("tcp")));
    assert_eq!(wire.exactly(6).await, b"hello ");
    wire.send("def").await;
    within(wire.stream.shutdown()).await.unwrap();
    assert_eq!(wire.rest().await, b"fedcba");
}

#[tokio::test]
async fn an_app_that_said_all_still_listens() {
    let (heard, mut hears) = tokio::sync::mpsc::channel(1);
    let app = raw(move |mut stream| {
        let heard = heard.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\nbye";
            stream.write_all(switch.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            heard.send(said).await.unwrap();
        }
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!(
        "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n"
    ))
    .await;
    assert_eq!(wire.head().await.status, 101);
    assert_eq!(wire.rest().await, b"bye");
    wire.send("still here").await;
    within(wire.stream.shutdown()).await.unwrap();
    assert_eq!(within(hears.recv()).await.unwrap(), b"still here");
}

#[tokio::test]
async fn nobody_is_switched_who_did_not_ask() {
    let app = half_closer().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    assert_eq!(wire.get(&host, "/", "").await.status, 502);
    let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    assert_eq!(wire.get(&host, "/", h2c).await.status, 502);
}

#[tokio::test]
async fn an_app_may_decline_to_switch() {
    let app = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    let lines = "connection: upgrade\r\nupgrade: websocket\r\n";
    let answer = wire.get(&host, "/", lines).await;
    assert_eq!((answer.status, answer.text()), (403, "no"));
}
