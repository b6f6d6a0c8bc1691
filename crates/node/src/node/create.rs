//! Making a sandbox: in its org's turn, if there is room.

use std::sync::Arc;
use std::time::Duration;

use pando_types::{Epoch, OrgId, SandboxId, Timestamp};
use pando_vm::driver::{SPARE_DISKS, Shape};
use pando_vm::network::Cidr;
use pando_vm::sys::host;

use super::{Node, NodeError, Observation, SandboxSpec, Source, fence, observation};
use crate::capacity::promised::Promise;
use crate::capacity::room::{self, Shortage};
use crate::capacity::turns::Crowded;
use crate::garbage;
use crate::sandbox::actor::{self, Origin};
use crate::sandbox::handle::Handle;
use crate::sandbox::manifest::Manifest;
use crate::sandbox::policy::State;
use crate::sandbox::restore::Model;
use crate::sandbox::spare::Spare;
use crate::slots::SlotError;

/// What a new sandbox is to be, whatever it is made of.
pub(super) struct Wanted {
    pub org: OrgId,
    pub deadline: Option<Timestamp>,
    pub persistent: bool,
    pub idle_timeout: Option<Duration>,
    pub egress_deny: Vec<Cidr>,
    pub spares: Vec<Spare>,
}

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
        if let Some(handle) = self.shared.find(id) {
            fence(&handle, epoch)?;
            return self.created(id, epoch, &handle).await;
        }
        // Before it waits for a bake, and again when others took room meanwhile.
        self.admit().await?;
        let wanted = Wanted {
            org: spec.org,
            deadline: spec.deadline,
            persistent: spec.persistent,
            idle_timeout: spec.idle_timeout,
            egress_deny: spec.egress_deny,
            spares: spec.spares,
        };
        match spec.source {
            Source::Template(name) => {
                // Nothing is baked for a machine that may not be.
                let promise = self.promise(wanted.org, spec.shape)?;
                let model = Model::Baked(self.machine(&name, spec.shape).await?);
                let handle = self.make(id, epoch, wanted, model, promise).await?;
                self.created(id, epoch, &handle).await
            }
            Source::Builder => {
                let model = Model::Baked(self.builder().await?);
                self.create_of(id, epoch, wanted, model).await
            }
            Source::Snapshot(snapshot) => {
                let model = Model::Image(self.snapshot_image(snapshot).await?);
                self.create_of(id, epoch, wanted, model).await
            }
        }
    }

    fn promise(&self, org: OrgId, shape: Shape) -> Result<Promise, NodeError> {
        Ok(self.shared.promise(org, shape)?)
    }

    /// The same of what is there already.
    pub(super) async fn create_of(
        &self,
        id: SandboxId,
        epoch: Epoch,
        wanted: Wanted,
        model: Model,
    ) -> Result<Observation, NodeError> {
        let promise = self.promise(wanted.org, model.made_from().1)?;
        let handle = self.make(id, epoch, wanted, model, promise).await?;
        self.created(id, epoch, &handle).await
    }

    async fn created(
        &self,
        id: SandboxId,
        epoch: Epoch,
        handle: &Handle,
    ) -> Result<Observation, NodeError> {
        let state = made(handle).await?;
        if let State::Failed { reason } = state {
            self.delete(id, epoch).await?;
            return Err(NodeError::NotMade(reason));
        }
        Ok(observation(handle))
    }

    /// What this host has, as far as it can be told.
    #[must_use]
    pub fn host(&self) -> room::Host {
        room::Host { memory: host::memory(), free_disk_bytes: self.shared.data.free_bytes() }
    }

    /// No create, and no wake, is begun that the host has no room for.
    pub(super) async fn admit(&self) -> Result<(), NodeError> {
        if self.shared.stopping.is_cancelled() {
            return Err(NodeError::Stopping);
        }
        self.has_room(|| self.host(), self.turns.running()).await
    }

    /// Nothing is saved, but to free memory, on a disk that is about to be full.
    pub(crate) async fn room_on_disk(&self) -> Result<(), NodeError> {
        self.has_room(|| room::Host { memory: None, ..self.host() }, 0).await
    }

    /// Only a disk that is short is first made room on.
    async fn has_room(
        &self,
        host: impl Fn() -> room::Host,
        starting: usize,
    ) -> Result<(), NodeError> {
        let mut checked = room::check(host(), starting);
        if checked == Err(Shortage::Disk) {
            garbage::make_room_to_go_on(&self.shared).await;
            checked = room::check(host(), starting);
        }
        checked.map_err(|shortage| match shortage {
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
        wanted: Wanted,
        model: Model,
        promise: Promise,
    ) -> Result<Arc<Handle>, NodeError> {
        let (key, shape) = model.made_from();
        let mut spares = model.spares();
        spares.extend(wanted.spares);
        if spares.len() > SPARE_DISKS {
            return Err(NodeError::NoSpare);
        }
        let _turn = self.turns.take(wanted.org).await.map_err(|Crowded| NodeError::Crowded)?;
        // Asked twice at once, the other one may have made it.
        if let Some(handle) = self.shared.find(id) {
            fence(&handle, epoch)?;
            return Ok(handle);
        }
        self.admit().await?;
        let slot = self.shared.slots.take().await.map_err(|error| match error {
            SlotError::None => NodeError::NoSlot,
            SlotError::Network(_) => NodeError::NotMade(crate::chain(&error)),
        })?;
        let mut manifest = Manifest::new(id, epoch, key, shape, wanted.deadline, wanted.persistent);
        manifest.org = Some(wanted.org);
        manifest.idle_timeout = wanted.idle_timeout;
        manifest.egress_deny = model.egress_deny(wanted.egress_deny);
        manifest.spares = spares;
        let origin = Origin::Restore { model: model.clone(), slot, promise };
        let handle = actor::spawn(&self.shared, manifest, origin);
        self.shared.remember(id, Arc::clone(&handle));
        // Held until its sandbox is known: nobody takes it for unused in between.
        drop(model);
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
