//! WebSocket over HTTP/2 (RFC 8441).

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::ext::Protocol;
use pando_edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

use crate::support::{Body2, Client2, Stand, answering, raw, within};
use crate::tunnels::echo;

#[tokio::test]
async fn a_websocket_runs_in_a_stream() {
    let app = echo().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Client2::connect(&stand).await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let answer = client.request(websocket(&host)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-robots-tag"], "noindex");
        for name in ["sec-websocket-accept", "upgrade", "connection"] {
            assert!(!answer.headers().contains_key(name), "{name}");
        }
        let stream = within(hyper::upgrade::on(answer)).await.unwrap();
        let stream = hyper_util::rt::TokioIo::new(stream);
        sockets.push(WebSocketStream::from_raw_socket(stream, Role::Client, None).await);
    }
    for (size, socket) in [1, 100, 1024 * 1024].into_iter().zip(&mut sockets) {
        let message = Message::text("x".repeat(size));
        within(socket.send(message.clone())).await.unwrap();
        assert_eq!(within(socket.next()).await.unwrap().unwrap(), message);
    }
    for mut socket in sockets {
        within(socket.close(None)).await.unwrap();
        while within(socket.next()).await.is_some_and(|message| message.is_ok()) {}
    }
    // Requests go on beside it.
    let request = client.get("localhost", "/");
    assert_eq!(client.send(request, Bytes::new()).await.0.status(), 200);
}

#[tokio::test]
async fn a_socket_keeps_its_connection_in_use() {
    let app = echo().await;
    let limits = Limits {
        keep_alive: Duration::from_millis(50),
        write_stall: Duration::from_millis(50),
        ..Limits::default()
    };
    let stand = Stand::with(limits).await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Client2::connect(&stand).await;
    let answer = client.request(websocket(&host)).await.unwrap();
    let stream = within(hyper::upgrade::on(answer)).await.unwrap();
    let stream = hyper_util::rt::TokioIo::new(stream);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    // Longer than any unused connection has.
    tokio::time::sleep(Duration::from_millis(500)).await;
    within(socket.send(Message::text("still here"))).await.unwrap();
    assert_eq!(within(socket.next()).await.unwrap().unwrap(), Message::text("still here"));
    let request = client.get("localhost", "/");
    assert_eq!(client.send(request, Bytes::new()).await.0.status(), 200);
    drop(socket);
    within(client.ended()).await;
}

fn websocket(host: &str) -> Request<Body2> {
    Request::builder()
        .method("CONNECT")
        .uri(format!("http://{host}/socket"))
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
        .body(Client2::empty())
        .unwrap()
}

#[tokio::test]
async fn a_declined_websocket_is_an_ordinary_answer() {
    let declining = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    })
    .await;
    // No WebSocket server, for it says so without having seen the key; and an
    // app that takes the request for a page.
    let pretending = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
    })
    .await;
    let page = answering(|_request| async {
        Response::new(Full::from("a page").map_err(|never| match never {}).boxed_unsync())
    })
    .await;
    let stand = Stand::new().await;
    let mut client = Client2::connect(&stand).await;
    for (app, status) in [(&declining, 403), (&pretending, 502), (&page, 502)] {
        let (_, host) = stand.sandbox(app);
        let answer = client.request(websocket(&host)).await.unwrap();
        assert_eq!(answer.status(), status);
        within(answer.into_body().collect()).await.unwrap();
    }
}
