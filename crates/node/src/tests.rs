//! The node's policy on the null hypervisor: everything but the machines is real
//! (the data folder and its pool, manifests, actors, restarts). Needs root, for
//! the pool's mount where the folder's own file system has no reflinks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pando_types::{Clock, Epoch, OrgId, SandboxId, SystemClock};
use pando_vm::driver::null::Null;
use pando_vm::driver::{Hypervisor, MachineName, Shape};
use pando_vm::network::Network;
use tokio::sync::mpsc;

use crate::bake::Recipe;
use crate::{
    DataDir, DataError, Node, NodeConfig, NodeError, Overcommit, Report, SandboxSpec, Source,
    Spare, State, WarmSlots,
};

mod faults;
mod fork;
mod full_disk;
mod garbage;
mod hostile_agent;
mod idle;
mod promised;
mod schedules;
mod sizes;
mod sleep;
mod sleepers;
mod volumes;

const SHAPE: Shape = Shape { cpu: 1, memory_mib: 512 };

/// A data folder whose pool is unmounted however the test ends.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Not mounted, where the test got that far or the file system has reflinks.
        let pool = self.path().join("pool");
        let _ = std::process::Command::new("umount").arg("-q").arg(pool).output();
    }
}

/// A node, its machines, and the folder that outlives both.
struct World {
    folder: Folder,
    machines: Null,
    node: Node,
    reports: mpsc::Receiver<Report>,
    org: OrgId,
}

impl World {
    async fn start() -> Self {
        let folder = Folder::new();
        let machines = Null::default();
        let (node, reports) = node(folder.path(), Arc::new(machines.clone())).await;
        Self { folder, machines, node, reports, org: OrgId::new() }
    }

    /// Stops the server and starts another on what it left.
    async fn restart(self) -> Self {
        let Self { folder, machines, node: old, reports, org } = self;
        old.stop().await;
        drop((old, reports));
        let (node, reports) = node(folder.path(), Arc::new(machines.clone())).await;
        Self { folder, machines, node, reports, org }
    }

    async fn create(&self, deadline: Option<Duration>, persistent: bool) -> SandboxId {
        let id = SandboxId::new();
        self.try_create(id, deadline, persistent).await.unwrap();
        id
    }

    async fn try_create(
        &self,
        id: SandboxId,
        deadline: Option<Duration>,
        persistent: bool,
    ) -> Result<(), NodeError> {
        self.try_create_with(id, deadline, persistent, Vec::new()).await
    }

    async fn try_create_with(
        &self,
        id: SandboxId,
        deadline: Option<Duration>,
        persistent: bool,
        spares: Vec<Spare>,
    ) -> Result<(), NodeError> {
        let deadline = deadline.map(|span| SystemClock.now().plus(span));
        let spec = SandboxSpec {
            spares,
            egress_deny: Vec::new(),
            org: self.org,
            source: Source::Template("base".into()),
            shape: SHAPE,
            deadline,
            persistent,
            idle_timeout: None,
        };
        self.node.create(id, Epoch::first(), spec).await.map(drop)
    }

    fn name(&self, id: SandboxId) -> MachineName {
        name(self.folder.path(), id)
    }

    /// What the machine of a sandbox has in memory.
    fn memory(&self, id: SandboxId) -> String {
        String::from_utf8(self.machines.memory(&self.name(id)).unwrap()).unwrap()
    }

    /// Writes to the memory and to the disk of a sandbox, as its guest would.
    fn write(&self, id: SandboxId, text: &str) {
        assert!(self.machines.write_memory(&self.name(id), text.as_bytes()));
        std::fs::write(self.dir(id).join("root.raw"), text).unwrap();
    }

    fn disk(&self, id: SandboxId) -> String {
        std::fs::read_to_string(self.dir(id).join("root.raw")).unwrap()
    }

    fn dir(&self, id: SandboxId) -> std::path::PathBuf {
        self.folder.path().join("pool/sandboxes").join(id.to_string())
    }

    /// The names in a folder of the pool.
    fn names(&self, dir: &str) -> Vec<String> {
        names(&self.folder.path().join("pool").join(dir))
    }

    fn state(&self, id: SandboxId) -> Option<State> {
        self.node.observe(id).map(|observed| observed.state)
    }

    /// Waits for a report of that sandbox that `wanted` takes.
    async fn reported(&mut self, id: SandboxId, wanted: impl Fn(&State) -> bool) {
        while let Some(report) = self.reports.recv().await {
            if report.id == id && wanted(&report.state) {
                return;
            }
        }
        panic!("the node stopped");
    }

    /// The folders of sandboxes that are there.
    fn folders(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("pool/sandboxes")).unwrap().count()
    }

    async fn finish(self) {
        self.node.tear_down().await.unwrap();
        assert_eq!((self.machines.count(), self.folders()), (0, 0));
        drop((self.node, self.reports));
        open(self.folder.path()).await.unmount_pool().await.unwrap();
    }
}

/// Opens a folder that was just given up. A process that another test is
/// starting at this moment holds our lock, too, between its fork and its exec.
async fn open(folder: &Path) -> DataDir {
    for _ in 0..200 {
        match DataDir::open(folder).await {
            Err(DataError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            other => return other.unwrap(),
        }
    }
    panic!("{} stays locked", folder.display())
}

/// A node whose template is baked from files that are nothing.
async fn node(folder: &Path, hypervisor: Arc<dyn Hypervisor>) -> (Node, mpsc::Receiver<Report>) {
    let data = open(folder).await;
    let recipe = Recipe::base().unwrap();
    let rootfs = data.template(recipe.name(), recipe.version());
    std::fs::create_dir_all(&rootfs).unwrap();
    std::fs::write(rootfs.join("rootfs.ext4"), "a disk").unwrap();
    let nothing = folder.join("nothing");
    std::fs::write(&nothing, "").unwrap();
    Node::start(NodeConfig {
        warm_slots: WarmSlots::Fixed(1),
        overcommit: Overcommit::default(),
        data,
        hypervisor,
        network: Network::null(),
        kernel: Some(nothing.clone()),
        agent: nothing,
        progress: Arc::new(|_| {}),
        clock: Arc::new(SystemClock),
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_sandbox_pauses_resumes_and_goes() {
    let world = World::start().await;
    let (id, epoch) = (world.create(None, false).await, Epoch::first());
    for _ in 0..2 {
        world.node.pause(id, epoch).await.unwrap();
        assert_eq!(world.state(id), Some(State::Paused));
    }
    assert!(matches!(world.node.guest(id, None), Err(NodeError::NotRunning(State::Paused))));
    world.node.resume(id, epoch).await.unwrap();
    assert_eq!(world.state(id), Some(State::Running));
    for _ in 0..2 {
        world.node.delete(id, epoch).await.unwrap();
    }
    assert_eq!((world.state(id), world.machines.count(), world.folders()), (None, 0, 0));
    world.finish().await;
}

#[tokio::test]
async fn asked_twice_it_makes_one_machine_and_an_older_epoch_is_fenced() {
    let world = World::start().await;
    let id = world.create(None, false).await;
    world.try_create(id, None, false).await.unwrap();
    assert_eq!(world.machines.count(), 1);
    world.node.delete(id, Epoch::first()).await.unwrap();
    let spec = SandboxSpec {
        spares: Vec::new(),
        egress_deny: Vec::new(),
        org: world.org,
        source: Source::Template("base".into()),
        shape: SHAPE,
        deadline: None,
        persistent: false,
        idle_timeout: None,
    };
    world.node.create(id, Epoch::first().next(), spec).await.unwrap();
    let stale = world.node.pause(id, Epoch::first()).await;
    assert!(matches!(stale, Err(NodeError::Fenced)));
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_made_leaves_nothing() {
    let world = World::start().await;
    world.node.bake("base", SHAPE).await.unwrap();
    world.machines.refuse_restores(true);
    let refused = world.try_create(SandboxId::new(), None, true).await;
    assert!(matches!(refused, Err(NodeError::NotMade(_))), "{refused:?}");
    assert_eq!((world.machines.count(), world.folders()), (0, 0));
    world.finish().await;
}

#[tokio::test]
async fn machines_outlive_the_server_and_deadlines_hold() {
    let mut world = World::start().await;
    let kept = world.create(None, true).await;
    let paused = world.create(None, false).await;
    world.node.pause(paused, Epoch::first()).await.unwrap();
    let short = world.create(Some(Duration::from_millis(300)), false).await;
    world = world.restart().await;
    assert_eq!(world.state(paused), Some(State::Paused));
    world.node.resume(paused, Epoch::first()).await.unwrap();
    world.reported(short, |state| *state == State::Deleted).await;
    assert_eq!((world.state(short), world.machines.count()), (None, 2));
    assert_eq!(world.state(kept), Some(State::Running));
    world.finish().await;
}

#[tokio::test]
async fn a_machine_that_dies_is_noticed_now_and_at_a_start() {
    let mut world = World::start().await;
    let owner = DataDir::open(world.folder.path()).await;
    assert!(owner.is_err(), "two servers on one folder");
    let now = world.create(None, false).await;
    crash(&world, now);
    world.reported(now, |state| matches!(state, State::Failed { .. })).await;
    // Lost between two servers.
    let lost = [world.create(None, true).await, world.create(None, false).await];
    world.node.stop().await;
    for id in lost {
        crash(&world, id);
    }
    world = world.restart().await;
    for id in lost {
        assert!(matches!(world.state(id), Some(State::Failed { .. })));
        let denied = world.node.pause(id, Epoch::first()).await;
        assert!(matches!(denied, Err(NodeError::Denied(_))));
    }
    world.finish().await;
}

fn crash(world: &World, id: SandboxId) {
    assert!(world.machines.crash(&world.name(id)));
}

/// What the machine of a sandbox is called on the node of that folder.
fn name(folder: &Path, id: SandboxId) -> MachineName {
    let file = std::fs::read_to_string(folder.join("node.json")).unwrap();
    let owner = serde_json::from_str::<serde_json::Value>(&file).unwrap();
    let owner = owner["id"].as_str().unwrap().to_owned();
    MachineName { owner, machine: id.to_string() }
}

/// The names in a folder, in order.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
