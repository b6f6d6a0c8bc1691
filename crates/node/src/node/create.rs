//! Making a sandbox: in its org's turn, if there is room.

use std::sync::Arc;

use pando_types::{Epoch, SandboxId};
use pando_vm::sys::host;

use super::{Node, NodeError, Observation, SandboxSpec, fence, observation};
use crate::capacity::room::{self, Shortage};
use crate::capacity::turns::Crowded;
use crate::sandbox::actor::{self, Origin};
use crate::sandbox::handle::Handle;
use crate::sandbox::manifest::Manifest;
use crate::sandbox::policy::State;
use crate::slots::SlotError;

impl Node {
    /// Makes a sandbox and returns when its agent answers. Asked again, it
    /// returns what was made. What could not be made leaves nothing behind.
    ///
    /// # Errors
    /// Any [`NodeError`].
    pub async fn create(
        &self,
        id: SandboxId,
        epoch: Epoch,
        spec: SandboxSpec,
    ) -> Result<Observation, NodeError> {
        let handle = match self.shared.find(id) {
            Some(handle) => {
                fence(&handle, epoch)?;
                handle
            }
            None => self.make(id, epoch, spec).await?,
        };
        let state = made(&handle).await?;
        if let State::Failed { reason } = state {
            self.delete(id, epoch).await?;
            return Err(NodeError::NotMade(reason));
        }
        Ok(observation(&handle))
    }

    /// What this host has, as far as it can be told.
    #[must_use]
    pub fn host(&self) -> room::Host {
        room::Host { memory: host::memory(), free_disk_bytes: self.shared.data.free_bytes() }
    }

    /// No create is begun that the host has no room for.
    fn admit(&self) -> Result<(), NodeError> {
        if self.shared.stopping.is_cancelled() {
            return Err(NodeError::Stopping);
        }
        let host = self.host();
        room::check(host, self.turns.running()).map_err(|shortage| match shortage {
            Shortage::Memory => NodeError::NoMemory,
            Shortage::Disk => NodeError::NoDisk,
        })
    }

    /// Makes a sandbox that is not there yet, in its org's turn; returns its actor's handle
    /// once its agent answers, or it failed.
    async fn make(
        &self,
        id: SandboxId,
        epoch: Epoch,
        spec: SandboxSpec,
    ) -> Result<Arc<Handle>, NodeError> {
        // Before it waits in line, and again when others took room meanwhile.
        self.admit()?;
        let memory = self.host().memory.map(room::for_machines);
        let promise = self.shared.promises.make(spec.shape, memory);
        let promise = promise.ok_or(NodeError::MemoryPromised)?;
        let machine = self.machine(&spec.template, spec.shape).await?;
        let _turn = self.turns.take(spec.org).await.map_err(|Crowded| NodeError::Crowded)?;
        // Asked twice at once, the other one may have made it.
        if let Some(handle) = self.shared.find(id) {
            fence(&handle, epoch)?;
            return Ok(handle);
        }
        self.admit()?;
        let slot = self.shared.slots.take().await.map_err(|error| match error {
            SlotError::None => NodeError::NoSlot,
            SlotError::Network(_) => NodeError::NotMade(crate::chain(&error)),
        })?;
        let (key, shape) = (machine.key.clone(), spec.shape);
        let mut manifest = Manifest::new(id, epoch, key, shape, spec.deadline, spec.persistent);
        manifest.egress_deny = spec.egress_deny;
        let origin = Origin::Restore { machine: Arc::clone(&machine), promise };
        let handle = actor::spawn(&self.shared, manifest, slot, origin);
        self.shared.remember(id, Arc::clone(&handle));
        // Held until its sandbox is known: nobody takes it for unused in between.
        drop(machine);
        made(&handle).await?;
        Ok(handle)
    }
}

/// Waits until an actor has made its sandbox, or could not.
async fn made(handle: &Handle) -> Result<State, NodeError> {
    let mut observed = handle.observed.clone();
    let up = observed.wait_for(|observed| observed.state != State::Creating).await;
    up.map(|observed| observed.state.clone()).map_err(|_| NodeError::Stopping)
}
