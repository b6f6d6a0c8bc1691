//! How long a sandbox lives.

use pando_store::{SandboxRow, StoreError, Swap};
use pando_types::sandbox::{Lifecycle, SandboxEventKind, SetLifecycle};
use pando_types::{Code, OrgId, PublicError, SandboxId};

use super::sandboxes::{Sandboxes, failed, seconds};
use super::spec::{self, LifecycleChange};

impl Sandboxes {
    /// How long a sandbox lives, and since when nobody used it.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn lifecycle(&self, org: OrgId, id: SandboxId) -> Result<Lifecycle, PublicError> {
        let row = self.row(org, id).await?;
        Ok(self.life(&row))
    }

    /// Changes how long a sandbox lives, counted from now.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidRequest`], [`Code::Conflict`] when it is on its way out.
    pub async fn set_lifecycle(
        &self,
        org: OrgId,
        id: SandboxId,
        request: SetLifecycle,
    ) -> Result<Lifecycle, PublicError> {
        let change = spec::lifecycle(&request)?;
        let mut row = self.row(org, id).await?;
        if change == LifecycleChange::default() {
            return Ok(self.life(&row));
        }
        if let Some(ttl) = change.ttl {
            row.ttl = ttl;
            row.deadline = ttl.map(|ttl| self.clock.now().plus(ttl));
        }
        row.persistent = change.persistent.unwrap_or(row.persistent);
        let swap = self.write_lifecycle(&row).await.map_err(|error| failed(&error))?;
        if swap != Swap::Done {
            return Err(PublicError::new(Code::Conflict, "the sandbox is being deleted"));
        }
        self.node
            .set_lifecycle(id, row.epoch, row.deadline, row.persistent)
            .await
            .map_err(|error| PublicError::from(&error))?;
        Ok(self.life(&row))
    }

    async fn write_lifecycle(&self, row: &SandboxRow) -> Result<Swap, StoreError> {
        let mut tx = self.store.begin().await?;
        let swap = tx
            .sandbox_set_lifecycle(
                row.id,
                row.owner_node,
                row.epoch,
                row.ttl,
                row.deadline,
                row.persistent,
            )
            .await?;
        if swap == Swap::Done {
            let detail = described(row);
            tx.event_add(row.id, SandboxEventKind::LifecycleSet, Some(&detail)).await?;
            tx.commit().await?;
            self.journal.tell(row.id);
        }
        Ok(swap)
    }

    fn life(&self, row: &SandboxRow) -> Lifecycle {
        let observed = self.node.observe(row.id);
        let idle = observed.map(|observed| self.clock.now().since(observed.last_used));
        Lifecycle {
            ttl_seconds: row.ttl.map(seconds),
            persistent: row.persistent,
            idle_seconds: idle.map_or(0, seconds),
            expires_at: row.deadline.map(|deadline| deadline.to_rfc3339()),
        }
    }
}

fn described(row: &SandboxRow) -> String {
    let kept = if row.persistent { "kept when idle" } else { "not kept when idle" };
    match row.deadline {
        Some(deadline) => format!("it expires at {}; {kept}", deadline.to_rfc3339()),
        None => format!("it never expires; {kept}"),
    }
}
