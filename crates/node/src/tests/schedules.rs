//! Schedules on null machines: whose rows are real, whose clock a test sets, and whose
//! agents are one, that notes what it is told to run.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pando_guest_protocol::frame::{self, FrameError, Kind};
use pando_guest_protocol::session::{Done, ExecDone, Operation, Request};
use pando_guest_protocol::{GUEST_ADDRESS, SESSION_PORT};
use pando_store::{RunningRow, Store, Swap};
use pando_types::limits::MAX_SCHEDULES;
use pando_types::sandbox::CreateSandbox;
use pando_types::schedule::{ChangeSchedule, CreateSchedule, Schedule};
use pando_types::url::{PublicUrls, Scheme};
use pando_types::{Clock, Code, NodeId, OrgId, SandboxId, ScheduleId, Timestamp};
use pando_vm::driver::null::Null;
use rustix::thread::UnshareFlags;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::{Folder, name, node, open};
use crate::control::Sandboxes;
use crate::{Node, State};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// How long anything that only waits for this process may take, on any host.
const PATIENCE: Duration = Duration::from_secs(60);
/// 2026-01-31T00:00Z.
const MIDNIGHT: Timestamp = Timestamp::from_millis(1_769_817_600_000);
/// A command that does not end.
const ENDLESS: &str = "endless";

fn at(span: Duration) -> Timestamp {
    MIDNIGHT.plus(span)
}

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The agent of all guests.
#[derive(Clone, Default)]
struct Agent {
    heard: Arc<Mutex<Vec<String>>>,
    /// Endless commands end.
    ends: Arc<AtomicBool>,
}

impl Agent {
    async fn listen() -> Self {
        let listener = TcpListener::bind((GUEST_ADDRESS, SESSION_PORT)).await.unwrap();
        let agent = Self::default();
        let answering = agent.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let agent = answering.clone();
                tokio::spawn(async move { agent.answer(stream).await });
            }
        });
        agent
    }

    async fn answer(&self, mut stream: TcpStream) -> Result<(), FrameError> {
        let request: Request = frame::expect(&mut stream).await?.json()?;
        let Operation::Exec(exec) = request.operation else {
            return frame::write_json(&mut stream, Kind::Reply, &Done {}).await;
        };
        assert_eq!(exec.argv[..2], ["/bin/sh", "-c"]);
        let command = exec.argv[2].clone();
        self.heard.lock().unwrap().push(command.clone());
        while command == ENDLESS && !self.ends.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        frame::write(&mut stream, Kind::Stdout, b"said ").await?;
        frame::write(&mut stream, Kind::Stderr, command.as_bytes()).await?;
        let done = ExecDone { exit_code: 3, timed_out: false, duration_ms: 1 };
        frame::write_json(&mut stream, Kind::Reply, &done).await?;
        let mut dropped = [0; 4096];
        while matches!(stream.read(&mut dropped).await, Ok(count) if count > 0) {}
        Ok(())
    }
}

struct World {
    folder: Folder,
    machines: Null,
    agent: Agent,
    clock: Arc<TestClock>,
    store: Store,
    org: OrgId,
    node_id: NodeId,
    server: Option<(Node, Sandboxes)>,
}

impl World {
    fn run(test: impl AsyncFnOnce(&mut World) + Send + 'static) {
        // A namespace belongs to a thread, and goes with its last user.
        let thread = std::thread::spawn(|| {
            // SAFETY: no descriptor table is unshared, which is all that could
            // surprise the other threads.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            ip(&["link", "set", "lo", "up"]);
            ip(&["address", "add", &format!("{GUEST_ADDRESS}/32"), "dev", "lo"]);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut world = Self::start().await;
                test(&mut world).await;
                world.finish().await;
            });
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    async fn start() -> Self {
        let folder = Folder::new();
        let store = Store::open(&folder.path().join("test.db")).await.unwrap();
        let org = store.org_default().await.unwrap().id;
        let clock = Arc::new(TestClock(AtomicI64::new(MIDNIGHT.as_millis())));
        let (machines, agent) = (Null::default(), Agent::listen().await);
        let node_id = NodeId::new();
        let mut world = Self { folder, machines, agent, clock, store, org, node_id, server: None };
        world.serve().await;
        world
    }

    async fn serve(&mut self) {
        let (node, reports) = node(self.folder.path(), Arc::new(self.machines.clone())).await;
        let urls = PublicUrls { scheme: Scheme::Http, suffix: "preview.localhost".into() };
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        let started =
            Sandboxes::start(store, node.clone(), self.node_id, reports, urls, clock).await;
        self.server = Some((node, started.unwrap()));
    }

    async fn stop(&mut self) {
        // The lock on the folder goes with the last of the old node.
        if let Some((node, _)) = self.server.take() {
            node.stop().await;
        }
    }

    fn node(&self) -> &Node {
        &self.server.as_ref().unwrap().0
    }

    fn sandboxes(&self) -> &Sandboxes {
        &self.server.as_ref().unwrap().1
    }

    async fn sandbox(&self) -> SandboxId {
        let request = CreateSandbox {
            cpu: Some(1),
            memory_mb: Some(512),
            persistent: Some(true),
            ..CreateSandbox::default()
        };
        self.sandboxes().create(self.org, None, request).await.unwrap().id
    }

    async fn asleep(&self) -> SandboxId {
        let id = self.sandbox().await;
        self.sandboxes().hibernate(self.org, id).await.unwrap();
        id
    }

    async fn add(&self, sandbox: SandboxId, cron: &str, command: &str) -> ScheduleId {
        self.try_add(sandbox, cron, command).await.unwrap().id
    }

    async fn try_add(
        &self,
        sandbox: SandboxId,
        cron: &str,
        command: &str,
    ) -> Result<Schedule, pando_types::PublicError> {
        let request = CreateSchedule {
            cron: cron.into(),
            command: command.into(),
            timeout_seconds: None,
            paused: false,
        };
        self.sandboxes().schedule_create(ScheduleId::new(), self.org, sandbox, request).await
    }

    /// It is this time, and the server looks at the clock.
    fn now_is(&self, now: Timestamp) {
        self.clock.0.store(now.as_millis(), Ordering::SeqCst);
        self.sandboxes().schedules_changed();
    }

    async fn seen(&self, id: ScheduleId) -> Schedule {
        self.sandboxes().schedule_made(self.org, id).await.unwrap().unwrap()
    }

    /// Waits until it is so.
    async fn until(&self, id: ScheduleId, so: impl Fn(&Schedule) -> bool) -> Schedule {
        let waited = async {
            loop {
                let seen = self.seen(id).await;
                if so(&seen) {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waited).await {
            Ok(seen) => seen,
            Err(_) => panic!("{:?}", self.seen(id).await),
        }
    }

    async fn until_run(&self, id: ScheduleId, due: Timestamp) -> Schedule {
        let due = due.to_rfc3339();
        self.until(id, |seen| seen.last_run.as_ref().is_some_and(|run| run.due_at == due)).await
    }

    async fn until_missed(&self, id: ScheduleId, due: Timestamp) -> String {
        let text = due.to_rfc3339();
        let missed =
            |seen: &Schedule| seen.last_miss.as_ref().is_some_and(|miss| miss.due_at == text);
        self.until(id, missed).await.last_miss.unwrap().reason
    }

    fn heard(&self) -> Vec<String> {
        self.agent.heard.lock().unwrap().clone()
    }

    fn state(&self, id: SandboxId) -> Option<State> {
        self.node().observe(id).map(|observed| observed.state)
    }

    async fn finish(mut self) {
        self.node().tear_down().await.unwrap();
        assert_eq!(self.machines.count(), 0);
        self.server = None;
        self.store.close().await;
        open(self.folder.path()).await.unmount_pool().await.unwrap();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_due_wakes_its_sandbox_and_is_run_once() {
    World::run(async |world| {
        let id = world.asleep().await;
        let schedule = world.add(id, "*/5 * * * *", "job").await;
        let waits = world.seen(schedule).await.next_due_at;
        assert_eq!(waits, Some(at(5 * MINUTE).to_rfc3339()));
        world.now_is(at(4 * MINUTE));
        assert_eq!((world.state(id), world.heard().len()), (Some(State::Hibernated), 0));

        let now = at(5 * MINUTE + Duration::from_secs(1));
        world.now_is(now);
        let seen = world.until_run(schedule, at(5 * MINUTE)).await;
        assert_eq!(world.state(id), Some(State::Running));
        let run = seen.last_run.unwrap();
        assert_eq!((run.exit_code, run.error, run.output.as_str()), (Some(3), None, "said job"));
        assert_eq!(run.started_at, now.to_rfc3339());
        assert_eq!(seen.next_due_at, Some(at(10 * MINUTE).to_rfc3339()));
        assert_eq!((seen.running_since, seen.last_miss), (None, None));

        // Looked at again, and of days without a server: one run, of the last time.
        world.now_is(now);
        world.stop().await;
        world.clock.0.store(at(50 * HOUR).as_millis(), Ordering::SeqCst);
        world.serve().await;
        world.until_run(schedule, at(50 * HOUR)).await;
        assert_eq!(world.heard(), ["job", "job"]);
    });
}

#[test]
fn without_room_it_is_tried_again_until_it_is_too_late() {
    World::run(async |world| {
        let id = world.asleep().await;
        let schedule = world.add(id, "0 3 * * *", "job").await;
        world.machines.refuse_restores(true);
        world.now_is(at(3 * HOUR));
        let reason = world.until_missed(schedule, at(3 * HOUR)).await;
        assert!(reason.contains("could not be woken"), "{reason}");
        let seen = world.until(schedule, |seen| seen.running_since.is_none()).await;
        assert_eq!(seen.next_due_at, Some(at(3 * HOUR).to_rfc3339()));
        world.machines.refuse_restores(false);
        world.now_is(at(3 * HOUR + Duration::from_secs(31)));
        let seen = world.until_run(schedule, at(3 * HOUR)).await;
        assert_eq!(seen.next_due_at, Some(at(27 * HOUR).to_rfc3339()));

        world.sandboxes().hibernate(world.org, id).await.unwrap();
        world.machines.refuse_restores(true);
        world.now_is(at(27 * HOUR));
        world.until_missed(schedule, at(27 * HOUR)).await;
        world.until(schedule, |seen| seen.running_since.is_none()).await;
        world.machines.refuse_restores(false);
        world.now_is(at(28 * HOUR + Duration::from_secs(1)));
        let next = Some(at(51 * HOUR).to_rfc3339());
        let seen = world.until(schedule, |seen| seen.next_due_at == next).await;
        assert!(seen.last_miss.unwrap().reason.contains("within 60 minutes"));
        assert_eq!((world.heard().len(), world.state(id)), (1, Some(State::Hibernated)));
    });
}

#[test]
fn what_is_paused_or_has_failed_is_left_as_it_is() {
    World::run(async |world| {
        let (paused, failed) = (world.sandbox().await, world.sandbox().await);
        world.sandboxes().pause(world.org, paused).await.unwrap();
        assert!(world.machines.crash(&name(world.folder.path(), failed)));
        while world.state(failed) == Some(State::Running) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for (id, word) in [(paused, "paused"), (failed, "failed")] {
            let now = world.clock.now();
            let schedule = world.add(id, "0 * * * *", "job").await;
            let due = now.plus(HOUR);
            world.now_is(due);
            let reason = world.until_missed(schedule, due).await;
            assert_eq!(reason, format!("the sandbox is {word}"));
            let seen = world.until(schedule, |seen| seen.running_since.is_none()).await;
            assert_eq!(seen.next_due_at, Some(due.plus(HOUR).to_rfc3339()));
            assert!(world.sandboxes().schedule_delete(world.org, id, schedule).await.is_ok());
        }
        assert_eq!(world.state(paused), Some(State::Paused));
        assert!(matches!(world.state(failed), Some(State::Failed { .. })));
        assert!(world.heard().is_empty());
    });
}

#[test]
fn what_comes_while_it_runs_is_left_out_and_a_server_that_ends_repeats_nothing() {
    World::run(async |world| {
        let id = world.asleep().await;
        let schedule = world.add(id, "*/10 * * * *", ENDLESS).await;
        world.now_is(at(10 * MINUTE));
        while world.heard().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.now_is(at(20 * MINUTE));
        let reason = world.until_missed(schedule, at(20 * MINUTE)).await;
        assert!(reason.contains("going on"), "{reason}");

        // It runs on while it is paused, and tells of its end.
        let change = ChangeSchedule { paused: true };
        let changed = world.sandboxes().schedule_change(world.org, id, schedule, &change).await;
        let changed = changed.unwrap();
        assert!(changed.running_since.is_some() && changed.next_due_at.is_none());
        world.agent.ends.store(true, Ordering::SeqCst);
        world.until_run(schedule, at(10 * MINUTE)).await;
        world.now_is(at(2 * HOUR));
        let change = ChangeSchedule { paused: false };
        let changed = world.sandboxes().schedule_change(world.org, id, schedule, &change).await;
        assert_eq!(changed.unwrap().next_due_at, Some(at(2 * HOUR + 10 * MINUTE).to_rfc3339()));

        // Stopped amid a run.
        world.agent.ends.store(false, Ordering::SeqCst);
        world.now_is(at(2 * HOUR + 10 * MINUTE));
        while world.heard().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.stop().await;
        world.serve().await;
        let seen = world.until_run(schedule, at(2 * HOUR + 10 * MINUTE)).await;
        let run = seen.last_run.unwrap();
        assert_eq!(run.exit_code, None);
        assert!(run.error.unwrap().contains("the server ended"));

        // Killed between the row and the wake.
        world.stop().await;
        let (seen, due) = (at(2 * HOUR + 20 * MINUTE), at(2 * HOUR + 20 * MINUTE));
        let run = RunningRow { node: world.node_id, due, started: due };
        let next = Some(at(2 * HOUR + 30 * MINUTE));
        let begun = world.store.schedule_begin(schedule, seen, run, next).await.unwrap();
        assert_eq!(begun, Swap::Done);
        world.clock.0.store(due.as_millis(), Ordering::SeqCst);
        world.serve().await;
        let run = world.until_run(schedule, due).await.last_run.unwrap();
        assert!(run.error.unwrap().contains("the server ended"));
        assert_eq!(world.heard(), [ENDLESS, ENDLESS]);
    });
}

#[test]
fn they_are_their_owners_alone_few_and_gone_with_the_sandbox() {
    World::run(async |world| {
        let (id, other) = (world.sandbox().await, world.sandbox().await);
        let schedule = world.add(id, "0 3 * * *", "job").await;
        for number in 1..MAX_SCHEDULES {
            world.add(id, &format!("{number} 3 * * *"), "job").await;
        }
        assert_eq!(world.try_add(id, "0 3 * * *", "job").await.unwrap_err().code, Code::OverQuota);
        let list = world.sandboxes().schedule_list(world.org, id).await.unwrap();
        assert_eq!(list.items.len(), 8);
        assert!(world.sandboxes().schedule_list(world.org, other).await.unwrap().items.is_empty());

        let stranger = OrgId::new();
        let change = ChangeSchedule { paused: true };
        for (org, sandbox) in [(stranger, id), (world.org, other)] {
            let all = world.sandboxes();
            let refusals = [
                all.schedule_get(org, sandbox, schedule).await.unwrap_err(),
                all.schedule_change(org, sandbox, schedule, &change).await.unwrap_err(),
                all.schedule_delete(org, sandbox, schedule).await.unwrap_err(),
            ];
            assert!(refusals.iter().all(|refusal| refusal.code == Code::NotFound));
        }
        let made = world.sandboxes().schedule_made(stranger, schedule).await.unwrap();
        assert!(made.is_none());
        let list = world.sandboxes().schedule_list(stranger, id).await;
        assert_eq!(list.unwrap_err().code, Code::NotFound);

        world.sandboxes().delete(world.org, id).await.unwrap();
        assert!(world.store.schedule_list(id).await.unwrap().is_empty());
        assert_eq!(world.store.schedule_next_look().await.unwrap(), None);
        assert_eq!(world.try_add(id, "0 3 * * *", "job").await.unwrap_err().code, Code::NotFound);
    });
}
