use std::time::Duration;

use pando_guest_protocol::log::{LogLines, LogQuery, Whose};
use pando_guest_protocol::session::FailureKind;
use pando_guest_protocol::supervise::{
    ProcessState, Supervise, Supervised, SupervisedList, Watched,
};
use tokio::time::Instant;

use super::*;

fn process(name: &str, script: &str) -> Supervised {
    Supervised {
        name: name.into(),
        argv: ["sh", "-c", script].map(str::to_owned).into(),
        cwd: Some("/".into()),
        env: BTreeMap::new(),
        user: None,
        root: None,
        grace_ms: 10_000,
    }
}

impl Agent {
    async fn supervise(&self, processes: Vec<Supervised>) {
        let env = BTreeMap::from([("SHARED".to_owned(), " as it is\n$HOME ".to_owned())]);
        let answer = self.answer(Operation::Supervise(Supervise { env, processes })).await;
        assert_eq!(answer.kind, Kind::Reply, "{answer:?}");
    }

    async fn watched(&self) -> Vec<Watched> {
        let answer = self.answer(Operation::ListSupervised).await;
        answer.json::<SupervisedList>().unwrap().processes
    }

    /// The process id of one, once it runs as `restarts` says.
    async fn running(&self, name: &str, restarts: u64) -> String {
        for _ in 0..1000 {
            let found = self.watched().await.into_iter().find(|one| one.name == name);
            if let Some(Watched { state: ProcessState::Running { pid, .. }, .. }) = found
                && found.as_ref().is_some_and(|one| one.restarts == restarts)
            {
                return pid.to_string();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name} never ran: {:?}", self.watched().await);
    }

    fn said(&self, whose: Whose) -> Vec<LogLines> {
        self.services.logs.reader(LogQuery { whose, ..LogQuery::default() }).take()
    }

    /// What a process said, once it is `text`.
    async fn says(&self, name: &str, text: &str) {
        let lines = || self.said(Whose::Process(name.into()));
        let all = || lines().into_iter().map(|lines| lines.text + "\n").collect::<String>();
        until(&format!("{name} says {text}"), || all().contains(text)).await;
    }
}

#[tokio::test]
async fn processes_run_with_their_environment_and_are_told_apart() {
    let agent = Agent::start().await;
    let mut web = process("web", "echo \"web <$SHARED> $PORT\"; exec sleep 600");
    web.env.insert("PORT".into(), "3000".into());
    let worker = process("worker", "echo \"worker <$SHARED> $PORT\" >&2; exec sleep 600");
    agent.supervise(vec![web, worker]).await;
    let (web, worker) = (agent.running("web", 0).await, agent.running("worker", 0).await);
    assert!(is_alive(&web) && is_alive(&worker));
    agent.says("web", "web < as it is\n$HOME > 3000\n").await;
    agent.says("worker", "worker < as it is\n$HOME > \n").await;
    let lines = agent.said(Whose::Processes);
    assert!(lines.iter().all(|lines| lines.process.is_some() && lines.time_ms > 0), "{lines:?}");
    agent.supervise(vec![]).await;
    assert!(!is_alive(&web) && !is_alive(&worker));
    assert!(agent.watched().await.is_empty());
}

#[tokio::test]
async fn what_is_unchanged_goes_on_and_the_rest_is_as_it_is_named() {
    let agent = Agent::start().await;
    let named = |names: &[&str], changed: &str| {
        let script = |name: &str| if name == changed { "exec sleep 601" } else { "exec sleep 600" };
        names.iter().map(|name| process(name, script(name))).collect::<Vec<_>>()
    };
    agent.supervise(named(&["a", "b", "c"], "")).await;
    let mut before = Vec::new();
    for name in ["a", "b", "c"] {
        before.push(agent.running(name, 0).await);
    }
    agent.supervise(named(&["a", "b", "d"], "b")).await;
    // Answered when what had to end has.
    assert!(!is_alive(&before[1]) && !is_alive(&before[2]));
    assert_eq!(agent.running("a", 0).await, before[0]);
    assert_ne!(agent.running("b", 0).await, before[1]);
    agent.running("d", 0).await;
    let names: Vec<_> = agent.watched().await.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["a", "b", "d"]);
}

#[tokio::test]
async fn one_that_ends_starts_again_later_each_time() {
    let agent = Agent::start().await;
    agent.supervise(vec![process("worker", "echo up; exit 3")]).await;
    let begun = Instant::now();
    for _ in 0..1000 {
        if agent.watched().await[0].ends() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // One second after the first end, two after the second.
    assert!(begun.elapsed() >= Duration::from_secs(3));
    let watched = agent.watched().await.remove(0);
    assert_eq!((watched.restarts, watched.last_exit_code), (2, Some(3)));
    let ProcessState::Waiting { until_ms } = watched.state else { panic!("{watched:?}") };
    assert!(until_ms > crate::sys::clock::read_ms() + 2_000);
    agent.says("worker", "up\n[it ended with exit code 3, and starts again in 4 s]\n").await;
    // What waits is not waited for.
    agent.supervise(vec![]).await;
    assert!(agent.watched().await.is_empty());
}

#[tokio::test]
async fn one_that_was_killed_leaves_nothing_and_comes_back() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let child = folder.path().join("child");
    let script = format!("sleep 600 & echo $! >{}; wait", child.display());
    agent.supervise(vec![process("web", &script)]).await;
    let pid = agent.running("web", 0).await;
    until("its child", || std::fs::read_to_string(&child).is_ok_and(|pid| pid.ends_with('\n')))
        .await;
    let child = std::fs::read_to_string(child).unwrap();
    agent.shell(&format!("kill -9 {pid}")).await;
    // The child would hold the port.
    until("the end of its child", || !is_alive(&child)).await;
    assert_ne!(agent.running("web", 1).await, pid);
    assert_eq!(agent.watched().await[0].last_exit_code, Some(137));
}

#[tokio::test]
async fn a_stop_is_asked_for_and_then_enforced() {
    let agent = Agent::start().await;
    // The shell that leads the group ends at once; what it runs takes its time.
    let gentle = "sh -c 'trap \"sleep 0.3; echo bye; exit\" TERM; echo up; while :; do sleep 0.05; done'; true";
    let mut stubborn = process("stubborn", "trap '' TERM; echo up; while :; do sleep 0.05; done");
    stubborn.grace_ms = 200;
    agent.supervise(vec![process("gentle", gentle), stubborn]).await;
    let pids = [agent.running("gentle", 0).await, agent.running("stubborn", 0).await];
    agent.says("gentle", "up\n").await;
    agent.says("stubborn", "up\n").await;
    agent.supervise(vec![]).await;
    agent.says("gentle", "bye\n").await;
    assert!(pids.iter().all(|pid| !is_alive(pid)));
}

#[tokio::test]
async fn what_cannot_start_says_why_and_a_bad_list_changes_nothing() {
    let agent = Agent::start().await;
    let missing = Supervised { argv: vec!["no-such-program".into()], ..process("web", "") };
    agent.supervise(vec![missing]).await;
    agent.says("web", "[it did not start: no program `no-such-program` in PATH]\n").await;
    agent.supervise(vec![process("web", "exec sleep 600")]).await;
    let pid = agent.running("web", 0).await;
    let bad = vec![process("web", "true"), process("no.name", "true")];
    let list = Supervise { processes: bad, ..Supervise::default() };
    let failure = agent.failure(Operation::Supervise(list)).await;
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert_eq!(agent.running("web", 0).await, pid);
}

#[tokio::test]
async fn they_outlast_a_restore_and_one_that_waits_waits_on() {
    let agent = Agent::start().await;
    let flag = tempfile::tempdir().unwrap();
    let flag = flag.path().join("flag");
    let script = format!("test -e {} && exec sleep 600; exit 1", flag.display());
    agent.supervise(vec![process("web", "exec sleep 600"), process("worker", &script)]).await;
    let web = agent.running("web", 0).await;
    agent.says("worker", "starts again in 1 s").await;
    agent.services.access.suspend();
    agent.services.supervisor.wake();
    agent.services.access.open(Token::parse(&token()).unwrap());
    std::fs::write(&flag, "").unwrap();
    agent.running("worker", 1).await;
    assert_eq!(agent.running("web", 0).await, web);
}
