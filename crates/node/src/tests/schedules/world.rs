//! A server on null machines, whose clock a test sets, and one agent for all guests.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pando_guest_protocol::frame::{self, FrameError, Kind};
use pando_guest_protocol::session::{Done, ExecDone, Operation, Request};
use pando_guest_protocol::{GUEST_ADDRESS, SESSION_PORT};
use pando_store::Store;
use pando_types::sandbox::CreateSandbox;
use pando_types::schedule::{CreateSchedule, Schedule};
use pando_types::url::{PublicUrls, Scheme};
use pando_types::{Clock, NodeId, OrgId, PublicError, SandboxId, ScheduleId, Timestamp};
use pando_vm::driver::null::Null;
use rustix::thread::UnshareFlags;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::control::Sandboxes;
use crate::tests::{Folder, node, open};
use crate::{Node, State};

/// How long anything that only waits for this process may take, on any host.
const PATIENCE: Duration = Duration::from_secs(60);
/// 2026-01-31T00:00Z.
const MIDNIGHT: Timestamp = Timestamp::from_millis(1_769_817_600_000);
/// A command that does not end.
pub(super) const ENDLESS: &str = "endless";

pub(super) fn at(span: Duration) -> Timestamp {
    MIDNIGHT.plus(span)
}

#[derive(Default)]
pub(super) struct TestClock(pub AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The agent of all guests.
#[derive(Clone, Default)]
pub(super) struct Agent {
    heard: Arc<Mutex<Vec<String>>>,
    /// Endless commands end.
    pub ends: Arc<AtomicBool>,
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

pub(in crate::tests) struct World {
    pub folder: Folder,
    pub machines: Null,
    pub(super) agent: Agent,
    pub(super) clock: Arc<TestClock>,
    pub store: Store,
    pub org: OrgId,
    pub node_id: NodeId,
    server: Option<(Node, Sandboxes)>,
}

impl World {
    pub(in crate::tests) fn run(test: impl AsyncFnOnce(&mut World) + Send + 'static) {
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

    pub(super) async fn start() -> Self {
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

    pub(in crate::tests) async fn serve(&mut self) {
        let (node, reports) = node(self.folder.path(), Arc::new(self.machines.clone())).await;
        let urls = PublicUrls { scheme: Scheme::Http, suffix: "preview.localhost".into() };
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        let started =
            Sandboxes::start(store, node.clone(), self.node_id, reports, urls, clock).await;
        self.server = Some((node, started.unwrap()));
    }

    pub(in crate::tests) async fn stop(&mut self) {
        // The lock on the folder goes with the last of the old node.
        if let Some((node, _)) = self.server.take() {
            node.stop().await;
        }
    }

    pub(in crate::tests) fn node(&self) -> &Node {
        &self.server.as_ref().unwrap().0
    }

    pub(in crate::tests) fn sandboxes(&self) -> &Sandboxes {
        &self.server.as_ref().unwrap().1
    }

    pub(in crate::tests) async fn sandbox(&self) -> SandboxId {
        self.try_sandbox().await.unwrap()
    }

    pub(in crate::tests) async fn try_sandbox(&self) -> Result<SandboxId, PublicError> {
        let request = CreateSandbox {
            cpu: Some(1),
            memory_mb: Some(512),
            persistent: Some(true),
            ..CreateSandbox::default()
        };
        self.sandboxes().create(self.org, None, request).await.map(|made| made.id)
    }

    pub(in crate::tests) async fn asleep(&self) -> SandboxId {
        let id = self.sandbox().await;
        self.sandboxes().hibernate(self.org, id).await.unwrap();
        id
    }

    pub(super) async fn add(&self, sandbox: SandboxId, cron: &str, command: &str) -> ScheduleId {
        self.try_add(sandbox, cron, command).await.unwrap().id
    }

    pub(super) async fn try_add(
        &self,
        sandbox: SandboxId,
        cron: &str,
        command: &str,
    ) -> Result<Schedule, PublicError> {
        let request = CreateSchedule {
            cron: cron.into(),
            command: command.into(),
            timeout_seconds: None,
            paused: false,
        };
        self.sandboxes().schedule_create(ScheduleId::new(), self.org, sandbox, request).await
    }

    /// It is this time, and the server looks at the clock.
    pub(super) fn now_is(&self, now: Timestamp) {
        self.clock.0.store(now.as_millis(), Ordering::SeqCst);
        self.sandboxes().schedules_changed();
    }

    pub(super) async fn seen(&self, id: ScheduleId) -> Schedule {
        self.sandboxes().schedule_made(self.org, id).await.unwrap().unwrap()
    }

    /// Waits until it is so.
    pub(super) async fn until(&self, id: ScheduleId, so: impl Fn(&Schedule) -> bool) -> Schedule {
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

    pub(super) async fn until_run(&self, id: ScheduleId, due: Timestamp) -> Schedule {
        let due = due.to_rfc3339();
        self.until(id, |seen| seen.last_run.as_ref().is_some_and(|run| run.due_at == due)).await
    }

    pub(super) async fn until_missed(&self, id: ScheduleId, due: Timestamp) -> String {
        let text = due.to_rfc3339();
        let missed =
            |seen: &Schedule| seen.last_miss.as_ref().is_some_and(|miss| miss.due_at == text);
        self.until(id, missed).await.last_miss.unwrap().reason
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.agent.heard.lock().unwrap().clone()
    }

    pub(in crate::tests) fn state(&self, id: SandboxId) -> Option<State> {
        self.node().observe(id).map(|observed| observed.state)
    }

    pub(super) async fn finish(mut self) {
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
