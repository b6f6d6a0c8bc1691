//! What every actor of a node shares.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use pando_types::{Clock, Epoch, Generation, OrgId, SandboxId};
use pando_vm::driver::{Hypervisor, Shape};
use pando_vm::sys::{durable, host};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bake::{Bakery, MachineKey};
use crate::capacity::promised::{NotPromised, Promise, Promises};
use crate::capacity::room;
use crate::data::DataDir;
use crate::garbage::Garbage;
use crate::quotas::Quotas;
use crate::sandbox::handle::Handle;
use crate::sandbox::policy::State;
use crate::slots::Slots;
use crate::visitors::{Nobody, Visitors};

/// A change of a sandbox that its node tells about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which sandbox.
    pub id: SandboxId,
    /// Under which ownership.
    pub epoch: Epoch,
    /// Where it is now.
    pub state: State,
    /// Counts this node's changes of it since the server started.
    pub generation: Generation,
    /// From the wish to an answering agent.
    pub boot: Duration,
}

pub(crate) struct Shared {
    pub data: DataDir,
    /// Stands in the arguments of this node's VMMs.
    pub owner: String,
    pub hypervisor: Arc<dyn Hypervisor>,
    pub slots: Arc<Slots>,
    /// Makes the machines of templates.
    pub bakery: Bakery,
    /// The memory that machines may take.
    pub promises: Arc<Promises>,
    /// Makes room on the disk.
    pub garbage: Garbage,
    pub clock: Arc<dyn Clock>,
    pub reports: mpsc::Sender<Report>,
    pub stopping: CancellationToken,
    pub tasks: TaskTracker,
    pub sandboxes: RwLock<HashMap<SandboxId, Arc<Handle>>>,
    /// Set once the edge is there, which asks this node.
    pub visitors: OnceLock<Arc<dyn Visitors>>,
    /// Set once the rows are there.
    pub quotas: OnceLock<Arc<dyn Quotas>>,
}

impl Shared {
    pub(crate) fn find(&self, id: SandboxId) -> Option<Arc<Handle>> {
        self.sandboxes.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The promise of its memory to a new machine. The org's quota was looked at with its row.
    pub(crate) fn promise(&self, org: OrgId, shape: Shape) -> Result<Promise, NotPromised> {
        self.promises.make((Some(org), shape), host::memory().map(room::for_machines), None)
    }

    /// The same to one that has slept.
    pub(crate) async fn promise_again(
        &self,
        org: Option<OrgId>,
        shape: Shape,
    ) -> Result<Promise, NotPromised> {
        let quota = match (org, self.quotas.get()) {
            (Some(org), Some(quotas)) => quotas.of(org).await,
            _ => None,
        };
        let memory = host::memory().map(room::for_machines);
        self.promises.make((org, shape), memory, quota.as_ref())
    }

    pub(crate) fn visitors(&self) -> &dyn Visitors {
        self.visitors.get().map_or(&Nobody, |visitors| &**visitors)
    }

    /// Removes a folder that nobody finds any more, while everything goes on.
    pub(crate) fn sweep(&self, dir: PathBuf) {
        self.tasks.spawn_blocking(move || {
            if let Err(error) = durable::remove_dir(&dir) {
                tracing::warn!(%error, "what is no longer used stays until the next start");
            }
        });
    }

    pub(crate) fn forget(&self, id: SandboxId) {
        self.sandboxes.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn remember(&self, id: SandboxId, handle: Arc<Handle>) {
        self.sandboxes.write().unwrap_or_else(PoisonError::into_inner).insert(id, handle);
    }

    /// The baked machines that there are sandboxes of.
    pub(crate) fn machines(&self) -> HashSet<MachineKey> {
        let sandboxes = self.sandboxes.read().unwrap_or_else(PoisonError::into_inner);
        sandboxes.values().map(|handle| handle.machine.clone()).collect()
    }

    pub(crate) fn all(&self) -> Vec<(SandboxId, Arc<Handle>)> {
        let sandboxes = self.sandboxes.read().unwrap_or_else(PoisonError::into_inner);
        sandboxes.iter().map(|(id, handle)| (*id, Arc::clone(handle))).collect()
    }
}
