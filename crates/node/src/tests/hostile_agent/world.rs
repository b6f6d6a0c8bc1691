//! A node in a network namespace of its own, with a friendly sandbox on it.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::GUEST_ADDRESS;
use pando_guest_protocol::session::Exec;
use pando_types::{Epoch, OrgId, SandboxId};
use rustix::thread::UnshareFlags;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;

use super::agent::{Agents, FRIENDLY};
use super::clock::fly_until;
use super::machines::Machines;
use super::memory::Mark;
use crate::guest::{ExecInput, Finished, Guest, GuestError};
use crate::tests::{Folder, SHAPE, node, open};
use crate::{Node, NodeError, SandboxSpec, Source, State};

/// How long anything that only waits for this process may take, on any host.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct World {
    folder: Folder,
    pub machines: Machines,
    pub agents: Agents,
    /// None between two servers.
    node: Option<Node>,
    /// The sandbox that nothing may touch.
    friend: SandboxId,
}

/// What an exchange with a hostile guest came to.
pub(super) struct Outcome<T> {
    pub said: T,
    /// How long it took by the clock that was moved.
    pub took: Duration,
    /// What the node held meanwhile, beyond what it held before.
    pub peak_bytes: usize,
}

impl World {
    /// Runs a test in a fresh world, and proves at its end that nothing is left.
    pub(super) fn run(test: impl AsyncFnOnce(&mut World) + Send + 'static) {
        // A namespace belongs to a thread, and goes with its last user.
        let thread = std::thread::spawn(|| {
            // SAFETY: no descriptor table is unshared, which is all that could
            // surprise the other threads.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            let address = format!("{GUEST_ADDRESS}/32");
            ip(&["link", "set", "lo", "up"]);
            ip(&["address", "add", &address, "dev", "lo"]);
            Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
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
        let machines = Machines::default();
        let agents = Agents::listen(&machines);
        let friend = SandboxId::new();
        let mut world = Self { folder, machines, agents, node: None, friend };
        world.launch().await;
        world.create(friend).await.unwrap();
        world
    }

    /// Stops the server and starts another on what it left.
    pub(super) async fn restart(&mut self) {
        // The lock on the folder goes with the last of the old node.
        if let Some(old) = self.node.take() {
            old.stop().await;
        }
        self.launch().await;
    }

    async fn launch(&mut self) {
        let (node, mut reports) = node(self.folder.path(), Arc::new(self.machines.clone())).await;
        tokio::spawn(async move { while reports.recv().await.is_some() {} });
        self.node = Some(node);
    }

    pub(super) fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    pub(super) async fn create(&self, id: SandboxId) -> Result<(), NodeError> {
        create(self.node(), id).await
    }

    /// A sandbox whose agent may be told to be hostile.
    pub(super) async fn sandbox(&self) -> (SandboxId, Guest) {
        let id = SandboxId::new();
        self.create(id).await.unwrap();
        (id, self.node().guest(id, None).unwrap())
    }

    pub(super) fn state(&self, id: SandboxId) -> Option<State> {
        self.node().observe(id).map(|observed| observed.state)
    }

    /// Does `work`, and lets time fly once the hostile guest is `met` and the
    /// friend has answered beside it, until it is `done`.
    pub(super) async fn outlast<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        mut met: impl FnMut() -> bool,
        mut done: impl FnMut(&JoinHandle<T>) -> bool,
    ) -> Outcome<T> {
        let tasks = alive_tasks();
        let mark = Mark::now();
        let task = tokio::spawn(work);
        until(|| met() || task.is_finished()).await;
        self.friend_answers().await;
        let took = fly_until(|| done(&task)).await;
        let said = tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        let peak_bytes = mark.peak_bytes();
        until_tasks(tasks).await;
        self.friend_answers().await;
        Outcome { said, took, peak_bytes }
    }

    /// What is asked of the friend is answered now, by its agent.
    pub(super) async fn friend_answers(&self) {
        let guest = self.node().guest(self.friend, None).unwrap();
        let answered = async {
            guest.ping().await.unwrap();
            let finished = run(&guest, exec("true"), ExecInput::Empty, 100).await.unwrap();
            assert_eq!(*finished.stdout, FRIENDLY);
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap();
    }

    /// Does `work` of one session with a hostile agent.
    pub(super) async fn outlast_session<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Outcome<T> {
        let before = self.agents.met();
        let met = || self.agents.met() > before;
        self.outlast(work, met, |task| task.is_finished()).await
    }

    /// Whether a sandbox's manifest is there: all that its creation then waits for
    /// is its guest.
    pub(super) fn is_recorded(&self, id: SandboxId) -> bool {
        let sandboxes = self.folder.path().join("pool/sandboxes");
        sandboxes.join(id.to_string()).join("manifest.json").exists()
    }

    /// How many sandboxes are there, by their machines and by their folders.
    pub(super) fn counts(&self) -> (usize, usize) {
        let folders = std::fs::read_dir(self.folder.path().join("pool/sandboxes")).unwrap();
        (self.machines.count(), folders.count())
    }

    async fn finish(self) {
        self.friend_answers().await;
        self.node().tear_down().await.unwrap();
        assert_eq!(self.counts(), (0, 0));
        drop(self.node);
        open(self.folder.path()).await.unmount_pool().await.unwrap();
    }
}

/// Creates a sandbox of no deadline.
pub(super) async fn create(node: &Node, id: SandboxId) -> Result<(), NodeError> {
    let spec = SandboxSpec {
        spares: Vec::new(),
        org: OrgId::new(),
        source: Source::Template("base".into()),
        shape: SHAPE,
        deadline: None,
        persistent: false,
        idle_timeout: None,
        egress_deny: Vec::new(),
    };
    node.create(id, Epoch::first(), spec).await.map(drop)
}

/// A command without anything special.
pub(super) fn exec(program: &str) -> Exec {
    Exec {
        argv: vec![program.to_owned()],
        cwd: None,
        env: Default::default(),
        user: None,
        timeout_ms: Some(1000),
        detached_log: None,
        log_name: None,
        root: None,
    }
}

/// Runs a command to its end.
pub(super) async fn run(
    guest: &Guest,
    exec: Exec,
    input: ExecInput,
    limit_bytes: usize,
) -> Result<Finished, GuestError> {
    guest.exec_stream(exec, input).await?.finish(limit_bytes).await
}

pub(super) fn alive_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until no more tasks live than before: the node's of that exchange, and
/// the hostile guest's, which ends only when the node closes the connection.
pub(super) async fn until_tasks(before: usize) {
    until(|| alive_tasks() <= before).await;
}

/// Waits for what this process does by itself.
async fn until(mut done: impl FnMut() -> bool) {
    let waited = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waited).await;
    assert!(in_time.is_ok(), "it does not come about; {} tasks live", alive_tasks());
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
