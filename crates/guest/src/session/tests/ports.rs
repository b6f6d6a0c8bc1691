use pando_guest_protocol::session::{FailureKind, Listener, Listeners};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A server that answers with everything it got, in capitals, once the other side is done.
async fn serve(address: &str) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        stream.write_all(&bytes.to_ascii_uppercase()).await.unwrap();
    });
    (port, task)
}

#[tokio::test]
async fn listeners_are_found() {
    let agent = Agent::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let found: Listeners = agent.answer(Operation::Ports).await.json().unwrap();
    let is_it = |it: &&Listener| it.port == own.port() && it.address == own.ip();
    let found: Vec<_> = found.listeners.iter().filter(is_it).collect();
    assert_eq!(found.len(), 1);
    let me = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(found[0].process.as_deref(), Some(me.trim_end()));
    drop(listener);
    // A child of another test may hold it until it has become its program.
    loop {
        let found: Listeners = agent.answer(Operation::Ports).await.json().unwrap();
        if found.listeners.iter().all(|listener| listener.port != own.port()) {
            break;
        }
    }
}

#[tokio::test]
async fn both_loopbacks_are_reached_and_half_closing_passes() {
    let agent = Agent::start().await;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (port, server) = serve(address).await;
        let mut stream = agent.ask(Operation::Relay { port }).await;
        assert_eq!(frame::expect(&mut stream).await.unwrap().kind, Kind::Reply);
        let sent = b"abc".repeat(200_000);
        let (mut reader, mut writer) = stream.split();
        let (_, received) = tokio::join!(
            async {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            },
            async {
                let mut received = Vec::new();
                reader.read_to_end(&mut received).await.unwrap();
                received
            }
        );
        assert!(received == sent.to_ascii_uppercase(), "{address}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_refused() {
    let agent = Agent::start().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let failure = agent.failure(Operation::Relay { port: free }).await;
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains(&free.to_string()));
}
