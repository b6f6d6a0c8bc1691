//! The node: every sandbox of this host, and what may be asked of them.
//!
//! The methods of [`Node`] are the seam along which nodes will move to machines
//! of their own: all that they take and return can be sent, each names the
//! sandbox and the epoch it speaks for, and asking twice is asking once.

mod access;
mod bake;
mod create;
mod disk;
mod error;
mod fork;
mod sleep;
mod snapshot;
mod template;
mod volume;

pub use disk::{BadDiskName, BegunDisk, DiskName};
pub use error::{ConnectError, NodeError};
pub use fork::{Child, Forked};
pub use snapshot::Snapshot;
pub(crate) use template::BUILDER;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pando_guest_protocol::GUEST_ADDRESS;
use pando_types::limits::MAX_HELD_BYTES;
use pando_types::{Clock, Epoch, Generation, OrgId, SandboxId, SnapshotId, Timestamp};
use pando_vm::driver::{Accelerator, Hypervisor, Shape};
use pando_vm::network::{Cidr, Network};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bake::{Bakery, BakeryConfig, Progress};
use crate::capacity::promised::{Overcommit, Promises};
use crate::capacity::turns::{LONGEST_WAIT, Turns};
use crate::data::DataDir;
use crate::garbage::{self, Cache, Garbage};
use crate::held::Budget;
use crate::quotas::Quotas;
use crate::sandbox::handle::{Command, Handle, Reply};
use crate::sandbox::policy::State;
use crate::sandbox::spare::Spare;
use crate::shared::{Report, Shared};
use crate::slots::{Slots, WarmSlots};
use crate::visitors::Visitors;
use crate::{reconcile, stalled, trim};

/// Reports that wait for whoever keeps the rows.
const QUEUE_REPORTS: usize = 256;
/// How many creates run at once for each core: restoring is work, with short waits in it.
const CREATES_PER_CORE: usize = 2;
/// How long a deletion is waited for; it goes on by itself after that.
const DELETE_WAIT: Duration = Duration::from_secs(60);

/// What a node is made of.
pub struct NodeConfig {
    /// Its data folder, opened.
    pub data: DataDir,
    /// Makes machines.
    pub hypervisor: Arc<dyn Hypervisor>,
    /// Its network, prepared.
    pub network: Network,
    /// The operator's guest kernel.
    pub kernel: Option<PathBuf>,
    /// The guest agent's program.
    pub agent: PathBuf,
    /// Told as a bake goes on.
    pub progress: Progress,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// How many network slots are kept ready for creates to come.
    pub warm_slots: WarmSlots,
    /// How many times the host's memory may be promised to its machines.
    pub overcommit: Overcommit,
}

/// A host's sandboxes. Clones share them.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    pub(crate) turns: Arc<Turns>,
    budget: Budget,
}

/// What a new sandbox is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSpec {
    /// Who it is for: orgs take turns.
    pub org: OrgId,
    /// What it is made of.
    pub source: Source,
    /// Its size; what is made of a snapshot has the snapshot's.
    pub shape: Shape,
    /// When it is to be gone.
    pub deadline: Option<Timestamp>,
    /// Whether its files are kept when its machine is lost.
    pub persistent: bool,
    /// It is put to sleep when nobody used it for as long; never, without.
    pub idle_timeout: Option<Duration>,
    /// What it may not reach, beside what no sandbox may.
    pub egress_deny: Vec<Cidr>,
    /// What stands in its spare disks, after those that it has from its source.
    pub spares: Vec<Spare>,
}

/// How long a sandbox lives, and how it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it is to be gone.
    pub deadline: Option<Timestamp>,
    /// Whether its files are kept when its machine is lost.
    pub persistent: bool,
    /// It is put to sleep when nobody used it for as long; never, without.
    pub idle_timeout: Option<Duration>,
}

/// What a sandbox is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A template, by its name.
    Template(String),
    /// What builds images; it has a size of its own.
    Builder,
    /// A snapshot of this node.
    Snapshot(SnapshotId),
}

/// What a node knows of a sandbox now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Where it is.
    pub state: State,
    /// Counts the changes of it.
    pub generation: Generation,
    /// When somebody last used it.
    pub last_used: Timestamp,
    /// It is not put to sleep before.
    pub leased_until: Option<Timestamp>,
    /// From the wish to an answering agent.
    pub boot: Duration,
}

impl Node {
    /// Starts the node: finds what an earlier server left, adopts what runs and
    /// removes what does not belong. The receiver gets every change from then on.
    ///
    /// # Errors
    /// When the data folder, the network or the leftovers cannot be used.
    pub async fn start(config: NodeConfig) -> Result<(Self, mpsc::Receiver<Report>), NodeError> {
        let owner = config.data.node_id()?.to_string();
        let (reports, receiver) = mpsc::channel(QUEUE_REPORTS);
        let slots = Slots::new(config.network, config.warm_slots);
        let bakery = Bakery::new(BakeryConfig {
            data: config.data.clone(),
            owner: owner.clone(),
            hypervisor: Arc::clone(&config.hypervisor),
            slots: Arc::clone(&slots),
            kernel_path: config.kernel,
            agent_path: config.agent,
            progress: config.progress,
        })?;
        let shared = Arc::new(Shared {
            data: config.data,
            owner,
            hypervisor: config.hypervisor,
            slots: Arc::clone(&slots),
            bakery,
            promises: Promises::new(config.overcommit),
            garbage: Garbage::default(),
            clock: config.clock,
            reports,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            sandboxes: Default::default(),
            visitors: OnceLock::new(),
            quotas: OnceLock::new(),
        });
        let found = reconcile::run(&shared)
            .await
            .map_err(|error| NodeError::Failed(crate::chain(&error)))?;
        tracing::info!(
            adopted = found.adopted,
            asleep = found.asleep,
            lost = found.lost,
            removed = found.removed,
            "found what an earlier server left"
        );
        shared.tasks.spawn(Arc::clone(&slots).follow_host(shared.stopping.clone()));
        shared.tasks.spawn(slots.keep_ready(shared.stopping.clone()));
        shared.tasks.spawn(trim::keep(shared.data.clone(), shared.stopping.clone()));
        shared.tasks.spawn(garbage::keep(Arc::clone(&shared)));
        shared.tasks.spawn(stalled::keep(Arc::clone(&shared)));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let turns = Turns::new(cores * CREATES_PER_CORE, LONGEST_WAIT);
        let budget = Budget::new(MAX_HELD_BYTES);
        Ok((Self { shared, turns, budget }, receiver))
    }

    fn handle(&self, id: SandboxId, epoch: Epoch) -> Result<Arc<Handle>, NodeError> {
        let handle = self.shared.find(id).ok_or(NodeError::NotFound)?;
        fence(&handle, epoch)?;
        Ok(handle)
    }

    /// Removes a sandbox and all of it. Fine when it is gone already.
    ///
    /// # Errors
    /// [`NodeError::Fenced`]; [`NodeError::Failed`] when it takes unusually long
    /// (it goes on all the same).
    pub async fn delete(&self, id: SandboxId, epoch: Epoch) -> Result<(), NodeError> {
        let Some(handle) = self.shared.find(id) else { return Ok(()) };
        fence(&handle, epoch)?;
        // A closed queue: it is deleted already, or the server stops.
        let _ = handle.commands.send(Command::Delete).await;
        let mut observed = handle.observed.clone();
        let deleted = observed.wait_for(|observed| observed.state == State::Deleted);
        match tokio::time::timeout(DELETE_WAIT, deleted).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) if self.shared.find(id).is_none() => Ok(()),
            Ok(Err(_)) => Err(NodeError::Stopping),
            Err(_) => Err(NodeError::Failed("it is still being removed".into())),
        }
    }

    /// Stops a sandbox's vCPUs; memory and sockets stay.
    ///
    /// # Errors
    /// Any [`NodeError`].
    pub async fn pause(&self, id: SandboxId, epoch: Epoch) -> Result<(), NodeError> {
        self.ask(id, epoch, Command::Pause).await
    }

    /// Lets a paused sandbox run; wakes one that sleeps.
    ///
    /// # Errors
    /// Any [`NodeError`].
    pub async fn resume(&self, id: SandboxId, epoch: Epoch) -> Result<(), NodeError> {
        if self.handle(id, epoch)?.observed.borrow().state == State::Hibernated {
            return self.wake(id, epoch).await;
        }
        self.ask(id, epoch, Command::Resume).await
    }

    /// Sets how long a sandbox lives, and how it is kept.
    ///
    /// # Errors
    /// Any [`NodeError`].
    pub async fn set_lifecycle(
        &self,
        id: SandboxId,
        epoch: Epoch,
        life: Life,
    ) -> Result<(), NodeError> {
        self.ask(id, epoch, |reply| Command::SetLife { life, reply }).await
    }

    /// Keeps a sandbox from being put to sleep until then, or no longer. It wakes nothing.
    ///
    /// # Errors
    /// Any [`NodeError`].
    pub async fn lease(
        &self,
        id: SandboxId,
        epoch: Epoch,
        until: Option<Timestamp>,
    ) -> Result<(), NodeError> {
        self.ask(id, epoch, |reply| Command::Lease { until, reply }).await
    }

    async fn ask<T>(
        &self,
        id: SandboxId,
        epoch: Epoch,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, NodeError> {
        let handle = self.handle(id, epoch)?;
        handle.usage.touch(self.shared.clock.now());
        asked(&handle, command).await
    }

    /// What this node knows of a sandbox; no I/O.
    #[must_use]
    pub fn observe(&self, id: SandboxId) -> Option<Observation> {
        self.shared.find(id).map(|handle| observation(&handle))
    }

    /// How much the server holds for requests, over all of them.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How guest instructions are run.
    #[must_use]
    pub fn accelerator(&self) -> Accelerator {
        self.shared.hypervisor.accelerator()
    }

    /// The address that every guest has inside its own network namespace.
    #[must_use]
    pub fn guest_address(&self) -> &'static str {
        GUEST_ADDRESS
    }

    /// Takes the node out of service: removes every sandbox, then its network.
    ///
    /// # Errors
    /// The first [`NodeError`]; what can be removed is removed all the same.
    pub async fn tear_down(&self) -> Result<(), NodeError> {
        let mut outcome = Ok(());
        for (id, handle) in self.shared.all() {
            let deleted = self.delete(id, handle.epoch).await;
            outcome = outcome.and(deleted);
        }
        self.stop().await;
        let removed = self.shared.slots.remove_network().await;
        outcome.and(removed.map_err(|error| NodeError::Failed(crate::chain(&error))))
    }

    /// Names whoever leads visitors into the sandboxes; the first one stays.
    pub fn set_visitors(&self, visitors: Arc<dyn Visitors>) {
        let _ = self.shared.visitors.set(visitors);
    }

    /// Names whoever knows what orgs may have; the first one stays.
    pub fn set_quotas(&self, quotas: Arc<dyn Quotas>) {
        let _ = self.shared.quotas.set(quotas);
    }

    /// Names things that somebody else keeps in the data folder, and can make anew: they go,
    /// too, when the disk is short.
    pub fn evict_from(&self, cache: Arc<dyn Cache>) {
        self.shared.garbage.add(cache);
    }

    /// Adds what is known of the disk's use to what is exposed.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.garbage.counts.register(registry);
    }

    /// Cancelled when the node stops.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.shared.stopping.clone()
    }

    /// Runs a task that [`Node::stop`] waits for; it ends when [`Node::stopping`] is cancelled.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(task);
    }

    /// Stops looking after the sandboxes, which run on, and returns when every task ended.
    pub async fn stop(&self) {
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// Sends a wish to an actor, and waits for what comes of it.
async fn asked<T>(
    handle: &Handle,
    command: impl FnOnce(Reply<T>) -> Command,
) -> Result<T, NodeError> {
    let (reply, outcome) = oneshot::channel();
    let gone = || NodeError::NotFound;
    handle.commands.send(command(reply)).await.map_err(|_| gone())?;
    outcome.await.map_err(|_| gone())?.map_err(NodeError::from)
}

fn fence(handle: &Handle, epoch: Epoch) -> Result<(), NodeError> {
    if epoch < handle.epoch { Err(NodeError::Fenced) } else { Ok(()) }
}

fn observation(handle: &Handle) -> Observation {
    let observed = handle.observed.borrow();
    Observation {
        state: observed.state.clone(),
        generation: observed.generation,
        last_used: handle.usage.last(),
        leased_until: observed.leased_until,
        boot: observed.boot,
    }
}
