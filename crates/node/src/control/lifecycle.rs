//! How long a sandbox lives.

use pando_store::{SandboxLife, SandboxRow, StoreError, Swap};
use pando_types::sandbox::{Lifecycle, SandboxEventKind, SetLifecycle};
use pando_types::{Code, OrgId, PublicError, SandboxId};

use super::sandboxes::{Sandboxes, failed, seconds};
use super::spec::{self, LifecycleChange};
use crate::node::Life;

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
        row.idle_timeout = change.idle_timeout.unwrap_or(row.idle_timeout);
        let swap = self.write_lifecycle(&row).await.map_err(|error| failed(&error))?;
        if swap != Swap::Done {
            return Err(PublicError::new(Code::Conflict, "the sandbox is being deleted"));
        }
        let life = Life {
            deadline: row.deadline,
            persistent: row.persistent,
            idle_timeout: row.idle_timeout,
        };
        let set = self.node.set_lifecycle(id, row.epoch, life).await;
        set.map_err(|error| PublicError::from(&error))?;
        Ok(self.life(&row))
    }

    /// Keeps a sandbox from being put to sleep for so many seconds from now, or no longer
    /// where there are none. It wakes nothing.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidRequest`].
    pub async fn lease(
        &self,
        org: OrgId,
        id: SandboxId,
        seconds: Option<i64>,
    ) -> Result<Lifecycle, PublicError> {
        let span = seconds.map(spec::lease).transpose()?;
        let row = self.row(org, id).await?;
        let until = span.map(|span| self.clock.now().plus(span));
        let leased = self.node.lease(id, row.epoch, until).await;
        leased.map_err(|error| PublicError::from(&error))?;
        Ok(self.life(&row))
    }

    async fn write_lifecycle(&self, row: &SandboxRow) -> Result<Swap, StoreError> {
        let mut tx = self.store.begin().await?;
        let life = SandboxLife {
            ttl: row.ttl,
            deadline: row.deadline,
            persistent: row.persistent,
            idle_timeout: row.idle_timeout,
        };
        let swap = tx.sandbox_set_lifecycle(row.id, row.owner_node, row.epoch, &life).await?;
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
        let now = self.clock.now();
        let idle = observed.as_ref().map(|observed| now.since(observed.last_used));
        let leased = observed.and_then(|observed| observed.leased_until);
        Lifecycle {
            ttl_seconds: row.ttl.map(seconds),
            persistent: row.persistent,
            idle_timeout_seconds: row.idle_timeout.map(seconds),
            leased_until: leased.filter(|until| *until > now).map(|until| until.to_rfc3339()),
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
