use pando_guest_protocol::session::{Done, FailureKind, MAX_SESSIONS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn ask_with(agent: &Agent, token: &str, protocol: u32) -> Frame {
    let mut stream = agent.connect().await;
    let request = Request { protocol, token: token.into(), operation: Operation::Ping };
    frame::write_json(&mut stream, Kind::Request, &request).await.unwrap();
    frame::expect(&mut stream).await.unwrap()
}

#[tokio::test]
async fn the_token_opens_and_nothing_else_does() {
    let agent = Agent::start().await;
    assert_eq!(agent.answer(Operation::Ping).await.json::<Done>().unwrap(), Done {});
    for wrong in ["", "a", &"b".repeat(64), &"a".repeat(65)] {
        let failure = failure_in(&ask_with(&agent, wrong, PROTOCOL).await);
        assert_eq!(failure.kind, FailureKind::Token, "{wrong}");
    }
}

#[tokio::test]
async fn before_a_restore_is_done_nobody_is_served() {
    let agent = Agent::start().await;
    agent.services.access.suspend();
    assert_eq!(agent.failure(Operation::Ping).await.kind, FailureKind::Token);
    agent.services.access.open(Token::parse(&"b".repeat(64)).unwrap());
    assert_eq!(agent.failure(Operation::Ping).await.kind, FailureKind::Token);
    assert_eq!(ask_with(&agent, &"b".repeat(64), PROTOCOL).await.kind, Kind::Reply);
}

#[tokio::test]
async fn another_protocol_is_named() {
    let agent = Agent::start().await;
    let failure = failure_in(&ask_with(&agent, &token(), 99).await);
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert!(failure.message.contains("protocol 99"), "{}", failure.message);
}

#[tokio::test]
async fn what_is_no_request_is_said() {
    let agent = Agent::start().await;
    for (kind, payload) in [(Kind::Data, &b"x"[..]), (Kind::Request, b"{"), (Kind::Request, b"{}")]
    {
        let mut stream = agent.connect().await;
        frame::write(&mut stream, kind, payload).await.unwrap();
        let failure = failure_in(&frame::expect(&mut stream).await.unwrap());
        assert_eq!(failure.kind, FailureKind::Invalid);
    }
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection() {
    let agent = Agent::start().await;
    let mut stream = agent.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Closed or reset; either way without a byte.
    let _unused = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
}

#[tokio::test]
async fn one_session_too_many_is_told_so_and_room_comes_back() {
    let agent = Agent::start().await;
    let mut open = Vec::new();
    for _ in 0..MAX_SESSIONS {
        open.push(agent.connect().await);
    }
    let mut stream = agent.connect().await;
    let failure = failure_in(&frame::expect(&mut stream).await.unwrap());
    assert_eq!(failure.kind, FailureKind::Busy);
    drop(open);
    for _ in 0..1000 {
        if agent.answer(Operation::Ping).await.kind == Kind::Reply {
            return;
        }
    }
    panic!("no room came back");
}
