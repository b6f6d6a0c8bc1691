//! What every actor of a node shares.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pando_types::{Clock, Epoch, Generation, SandboxId};
use pando_vm::driver::Hypervisor;
use pando_vm::sys::durable;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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

    pub(crate) fn all(&self) -> Vec<(SandboxId, Arc<Handle>)> {
        let sandboxes = self.sandboxes.read().unwrap_or_else(PoisonError::into_inner);
        sandboxes.iter().map(|(id, handle)| (*id, Arc::clone(handle))).collect()
    }
}
