use pando_guest_protocol::log::{LogLines, LogQuery, Output, Whose};

use super::*;

fn lines_of(frame: &Frame) -> Vec<LogLines> {
    assert_eq!(frame.kind, Kind::Data);
    let lines = frame.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

async fn kept(agent: &Agent, query: LogQuery) -> Vec<String> {
    let mut stream = agent.ask(Operation::Logs(query)).await;
    let mut texts = Vec::new();
    loop {
        let frame = frame::expect(&mut stream).await.unwrap();
        if frame.kind == Kind::End {
            return texts;
        }
        let pieces = lines_of(&frame);
        texts.extend(pieces.iter().flat_map(|some| some.text.split('\n')).map(str::to_owned));
    }
}

#[tokio::test]
async fn what_commands_said_is_kept_by_output() {
    let agent = Agent::start().await;
    agent.shell("echo out; echo err >&2; printf unfinished").await;
    let query = LogQuery::default();
    let mut all = kept(&agent, query.clone()).await;
    all.sort();
    assert_eq!(all, ["err", "out", "unfinished"]);
    let only = LogQuery { output: Some(Output::Stderr), ..query.clone() };
    assert_eq!(kept(&agent, only).await, ["err"]);
    let last = LogQuery { output: Some(Output::Stdout), tail: Some(1), ..query };
    assert_eq!(kept(&agent, last).await, ["unfinished"]);
}

#[tokio::test]
async fn a_command_that_has_a_name_is_kept_apart() {
    let agent = Agent::start().await;
    let mut exec = shell("echo out; echo err >&2");
    exec.log_name = Some("nightly".into());
    let mut stream = agent.ask(Operation::Exec(exec)).await;
    frame::write(&mut stream, Kind::End, &[]).await.unwrap();
    outcome(&mut stream).await;
    agent.shell("echo other").await;
    let of = |whose| LogQuery { whose, ..LogQuery::default() };
    let mut own = kept(&agent, of(Whose::Process("nightly".into()))).await;
    own.sort();
    assert_eq!(own, ["err", "out"]);
    assert_eq!(kept(&agent, of(Whose::All)).await.len(), 3);
}

#[tokio::test]
async fn a_follower_hears_a_detached_command_and_its_file_has_it_too() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.log");
    let mut stream =
        agent.ask(Operation::Logs(LogQuery { follow: true, ..LogQuery::default() })).await;
    let mut exec = shell("echo up; sleep 0.2; echo later");
    exec.detached_log = Some(log.to_str().unwrap().into());
    agent.answer(Operation::Exec(exec)).await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.extend(lines_of(&frame::expect(&mut stream).await.unwrap()));
    }
    let texts: Vec<_> = heard.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["up", "later"]);
    assert!(heard[0].pid > 1 && heard[0].time_ms <= heard[1].time_ms);
    until("the file", || std::fs::read(&log).is_ok_and(|bytes| bytes == b"up\nlater\n")).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_starts_nothing() {
    let agent = Agent::start().await;
    let mut exec = shell("touch /tmp/pando-was-started");
    exec.detached_log = Some("/proc/no/such/log".into());
    let failure = agent.failure(Operation::Exec(exec)).await;
    assert!(failure.message.contains("log `/proc/no/such/log`"), "{}", failure.message);
}
