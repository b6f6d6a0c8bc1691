//! What every actor of a node shares.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pando_types::{Clock, Epoch, Generation, SandboxId};
use pando_vm::driver::Hypervisor;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bake::MachineKey;
use crate::capacity::promised::Promises;
use crate::data::DataDir;
use crate::sandbox::handle::Handle;
use crate::sandbox::policy::State;
use crate::slots::Slots;

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
    /// The memory that machines may take.
    pub promises: Arc<Promises>,
    pub clock: Arc<dyn Clock>,
    pub reports: mpsc::Sender<Report>,
    pub stopping: CancellationToken,
    pub tasks: TaskTracker,
    pub sandboxes: RwLock<HashMap<SandboxId, Arc<Handle>>>,
}

impl Shared {
    pub(crate) fn find(&self, id: SandboxId) -> Option<Arc<Handle>> {
        self.sandboxes.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
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
