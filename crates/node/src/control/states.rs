//! What a sandbox does between its making and its end: it runs, stands still, or sleeps.

use pando_store::Desired;
use pando_types::sandbox::Sandbox;
use pando_types::{OrgId, PublicError, SandboxId};

use super::sandboxes::Sandboxes;

impl Sandboxes {
    /// Stops a sandbox's vCPUs.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when its state stands against it.
    ///
    /// [`Code::NotFound`]: pando_types::Code::NotFound
    /// [`Code::Conflict`]: pando_types::Code::Conflict
    pub async fn pause(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
        let row = self.row(org, id).await?;
        self.want(&row, Desired::Paused).await?;
        self.node.pause(id, row.epoch).await.map_err(|error| PublicError::from(&error))?;
        self.observed(org, id).await
    }

    /// Lets a paused sandbox run.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when its state stands against it.
    ///
    /// [`Code::NotFound`]: pando_types::Code::NotFound
    /// [`Code::Conflict`]: pando_types::Code::Conflict
    pub async fn resume(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
        let row = self.row(org, id).await?;
        self.want(&row, Desired::Running).await?;
        self.node.resume(id, row.epoch).await.map_err(|error| PublicError::from(&error))?;
        self.observed(org, id).await
    }

    /// Puts a sandbox to sleep: its image is durable and its machine gone when this
    /// returns. It is asleep until somebody uses it; one that sleeps is left as it is.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`]; [`Code::InsufficientStorage`] when there is
    /// no disk to save it on, and it runs on.
    ///
    /// [`Code::NotFound`]: pando_types::Code::NotFound
    /// [`Code::Conflict`]: pando_types::Code::Conflict
    /// [`Code::InsufficientStorage`]: pando_types::Code::InsufficientStorage
    pub async fn hibernate(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
        let row = self.row(org, id).await?;
        // Awake again, it runs: a pause does not outlast a sleep.
        self.want(&row, Desired::Running).await?;
        self.node.hibernate(id, row.epoch).await.map_err(|error| PublicError::from(&error))?;
        self.observed(org, id).await
    }

    /// Wakes a sandbox; returns when its agent answers. One that is awake is left as it is.
    ///
    /// # Errors
    /// [`Code::NotFound`]; what stands against waking it: it sleeps on then.
    ///
    /// [`Code::NotFound`]: pando_types::Code::NotFound
    pub async fn wake(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
        let row = self.row(org, id).await?;
        self.node.wake(id, row.epoch).await.map_err(|error| PublicError::from(&error))?;
        self.observed(org, id).await
    }
}
