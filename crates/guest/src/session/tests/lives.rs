//! What becomes of a session, and of what it started, when its machine is restored.

use std::time::Duration;

use pando_guest_protocol::log::LogQuery;
use pando_guest_protocol::repl::Language;
use pando_guest_protocol::session::FailureKind;
use pando_guest_protocol::terminal::{Size, Terminal};

use super::super::{Access, may_start};
use super::*;

/// What a machine has in its log.
async fn logged(agent: &Agent) -> String {
    let texts = agent.services.logs.reader(LogQuery::default()).take();
    texts.into_iter().map(|lines| lines.text + "\n").collect()
}

#[tokio::test]
async fn a_restore_ends_sessions_and_their_commands_go_on() {
    let agent = Agent::start().await;
    let script = "echo $$; read line; echo \"input: $?\"; sleep 0.1; echo last; exec sleep 60";
    let mut stream = agent.ask(Operation::Exec(shell(script))).await;
    let pid = String::from_utf8(frame::expect(&mut stream).await.unwrap().payload).unwrap();
    agent.services.access.suspend();
    assert!(frame::read(&mut stream).await.unwrap().is_none());
    for _ in 0..500 {
        if logged(&agent).await.contains("last") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Its input has ended, and what it says is kept.
    assert_eq!(logged(&agent).await, format!("{pid}input: 1\nlast\n"));
    assert!(is_alive(&pid));
    agent.services.access.open(Token::parse(&token()).unwrap());
    agent.shell(&format!("kill -9 {pid}")).await;
    until("its end", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn a_time_limit_outlasts_a_restore() {
    let agent = Agent::start().await;
    let mut exec = shell("echo $$; exec sleep 60");
    exec.timeout_ms = Some(300);
    let mut stream = agent.ask(Operation::Exec(exec)).await;
    let pid = String::from_utf8(frame::expect(&mut stream).await.unwrap().payload).unwrap();
    agent.services.access.suspend();
    until("its end", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn a_restore_leaves_what_runs_at_a_terminal() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    // More than a terminal holds, so that it goes on only if it is read.
    let script = format!("echo $$; sleep 0.3; yes | head -c 100000; touch {}", done.display());
    let terminal = Terminal {
        argv: ["sh", "-c", &script].map(str::to_owned).into(),
        cwd: Some("/".into()),
        env: BTreeMap::new(),
        user: None,
        size: Size::default(),
    };
    let mut stream = agent.ask(Operation::Terminal(terminal)).await;
    let pid = String::from_utf8(frame::expect(&mut stream).await.unwrap().payload).unwrap();
    agent.services.access.suspend();
    until("its last act", || done.exists()).await;
    until("its end", || !is_alive(&pid)).await;
}

/// Asked for while the machine was frozen, and so not begun before it was copied.
#[tokio::test]
async fn a_command_that_waits_is_started_in_one_life_only() {
    let access = Access::default();
    access.open(Token::parse(&token()).unwrap());
    let mut before = access.admit(&token()).unwrap();
    access.suspend();
    assert!(may_start(&mut before).await.is_err());
    access.open(Token::parse(&token()).unwrap());
    assert!(may_start(&mut access.admit(&token()).unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_cell_goes_on_and_its_session_takes_the_next() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Python).await;
    let code = "import time\nprint('on', flush=True)\nx = 1\ntime.sleep(0.5)\nx += 1";
    let mut stream = agent.start_cell(&id, code, 60_000).await;
    assert_eq!(frame::expect(&mut stream).await.unwrap().payload, b"on\n");
    agent.services.access.suspend();
    assert!(frame::read(&mut stream).await.unwrap().is_none());
    agent.services.access.open(Token::parse(&token()).unwrap());
    // Until it has ended, another waits its turn.
    let mut answer = agent.start_cell(&id, "x", 60_000).await;
    let mut first = frame::expect(&mut answer).await.unwrap();
    assert_eq!(failure_in(&first).kind, FailureKind::Conflict);
    for _ in 0..500 {
        if first.kind == Kind::Data {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = agent.start_cell(&id, "x", 60_000).await;
        first = frame::expect(&mut answer).await.unwrap();
    }
    assert_eq!(first.payload, b"{\"text/plain\": \"2\"}\n");
}
