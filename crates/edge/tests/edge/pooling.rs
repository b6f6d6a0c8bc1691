//! Kept connections: used again, tried again, and dropped when they must be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pando_edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{App, Stand, raw, within};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Long enough that no test outlasts it.
fn patient() -> Limits {
    Limits { pool_idle: Duration::from_secs(600), ..Limits::default() }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// Answers every request without a body.
async fn keeping() -> App {
    raw(|mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            stream.write_all(OK).await.unwrap();
        }
    })
    .await
}

/// Answers one request, takes the next one and closes without a word: what a
/// server does whose own time ran out just then.
async fn closing(requests: Arc<AtomicUsize>) -> App {
    raw(move |mut stream| {
        let requests = Arc::clone(&requests);
        async move {
            read_head(&mut stream).await.unwrap();
            requests.fetch_add(1, Ordering::SeqCst);
            stream.write_all(OK).await.unwrap();
            if read_head(&mut stream).await.is_some() {
                requests.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await
}

/// Until the edge has taken the connection back, which it does a moment after
/// the client has the answer.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let app = keeping().await;
    let stand = Stand::with(patient()).await;
    let (sandbox, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    for _ in 0..5 {
        assert_eq!(wire.get(&host, "/", "").await.text(), "ok");
        settle().await;
    }
    assert_eq!(stand.world.connects(), 1);

    stand.edge.forget(sandbox);
    assert_eq!(wire.get(&host, "/", "").await.text(), "ok");
    assert_eq!(stand.world.connects(), 2);
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated_on_a_new_connection() {
    let requests = Arc::new(AtomicUsize::new(0));
    let app = closing(Arc::clone(&requests)).await;
    let stand = Stand::with(patient()).await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    assert_eq!(wire.get(&host, "/", "").await.text(), "ok");
    settle().await;
    assert_eq!(wire.get(&host, "/", "").await.text(), "ok");
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    assert_eq!(stand.world.connects(), 2);
}

#[tokio::test]
async fn what_may_not_be_repeated_never_rides_on_a_kept_connection() {
    let requests = Arc::new(AtomicUsize::new(0));
    let app = closing(Arc::clone(&requests)).await;
    let stand = Stand::with(patient()).await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    assert_eq!(wire.get(&host, "/", "").await.text(), "ok");
    settle().await;
    wire.send(format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n")).await;
    assert_eq!(wire.answer().await.text(), "ok");
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_unused_connection_is_closed_in_time() {
    let (ended, mut ends) = tokio::sync::mpsc::channel(1);
    let app = raw(move |mut stream| {
        let ended = ended.clone();
        async move {
            while read_head(&mut stream).await.is_some() {
                stream.write_all(OK).await.unwrap();
            }
            ended.send(()).await.unwrap();
        }
    })
    .await;
    let stand =
        Stand::with(Limits { pool_idle: Duration::from_millis(1), ..Limits::default() }).await;
    let (_, host) = stand.sandbox(&app);
    assert_eq!(stand.connect().await.get(&host, "/", "").await.text(), "ok");
    within(ends.recv()).await.unwrap();
}
