//! The snapshots of an org.
//!
//! The row is there before the files, and after them: a crash leaves a row that is not
//! ready, and the next start removes what belongs to it.

use pando_store::{Insert, SandboxRow, SnapshotRow, SnapshotSize, SnapshotState, Swap};
use pando_types::limits::{MAX_SNAPSHOT_NAME_CHARS, MAX_SNAPSHOTS};
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::snapshot::{Snapshot, TakeSnapshot};
use pando_types::{Code, OrgId, PublicError, SandboxId, SnapshotId};
use pando_vm::sys::extents::Held;
use pando_vm::sys::fault::{self, Fault};

use super::sandboxes::{Sandboxes, failed};

/// When a refused snapshot is worth another try: one may have been deleted.
const RETRY_AFTER_SECS: u32 = 5;

impl Sandboxes {
    /// Takes a snapshot of a sandbox, which goes on, under an id that was chosen before;
    /// returns when it is durable.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidRequest`], [`Code::OverQuota`];
    /// [`Code::InsufficientStorage`]. Nothing is left of it then.
    pub async fn snapshot(
        &self,
        snapshot: SnapshotId,
        org: OrgId,
        id: SandboxId,
        request: TakeSnapshot,
    ) -> Result<Snapshot, PublicError> {
        check(&request)?;
        let sandbox = self.row(org, id).await?;
        let row = SnapshotRow {
            id: snapshot,
            org,
            sandbox: id,
            name: request.name,
            template: sandbox.template.clone(),
            cpu: sandbox.cpu,
            memory_mib: sandbox.memory_mib,
            owner_node: self.node_id,
            state: SnapshotState::Taking,
            own_bytes: 0,
            shared_bytes: 0,
            pause_ms: 0,
            created: self.clock.now(),
        };
        self.admit_snapshot(&row).await?;
        fault::point(Fault::SnapshotRowed);
        // In a task of its own: a client that goes away cannot cut it midway.
        let this = self.clone();
        let taken = tokio::spawn(async move { this.take_snapshot(&sandbox, row).await }).await;
        taken.unwrap_or_else(|_| Err(PublicError::internal()))
    }

    async fn admit_snapshot(&self, row: &SnapshotRow) -> Result<(), PublicError> {
        let failed = |error| failed(&error);
        let mut tx = self.store.begin().await.map_err(failed)?;
        let snapshots = tx.snapshot_count(row.org).await.map_err(failed)?;
        if snapshots >= MAX_SNAPSHOTS {
            let message = format!("the org has {snapshots} snapshots, which is the most");
            return Err(PublicError::new(Code::OverQuota, message)
                .hint("delete those that are not needed")
                .retry_after(RETRY_AFTER_SECS));
        }
        if tx.snapshot_insert(row).await.map_err(failed)? == Insert::Exists {
            return Err(PublicError::new(Code::Conflict, "the snapshot was taken before"));
        }
        tx.commit().await.map_err(failed)
    }

    async fn take_snapshot(
        &self,
        sandbox: &SandboxRow,
        row: SnapshotRow,
    ) -> Result<Snapshot, PublicError> {
        match self.node.snapshot(sandbox.id, sandbox.epoch, row.id).await {
            Ok(taken) => {
                let own_memory = Held {
                    own_bytes: taken.own_memory_bytes,
                    shared_bytes: taken.held_bytes.saturating_sub(taken.own_memory_bytes),
                };
                let held = self.node.snapshots_held(vec![row.id]).await.remove(&row.id);
                let Held { own_bytes, shared_bytes } = held.unwrap_or(own_memory);
                let pause_ms = u64::try_from(taken.pause.as_millis()).unwrap_or(u64::MAX);
                let size = SnapshotSize { own_bytes, shared_bytes, pause_ms };
                let (taking, ready) = (SnapshotState::Taking, SnapshotState::Ready);
                let swap = self.store.snapshot_advance(row.id, taking, ready, Some(size)).await;
                match swap.map_err(|error| failed(&error))? {
                    Swap::Done => Ok(shown(&self.snapshot_row(row.org, row.id).await?, None)),
                    Swap::Missing | Swap::Stale => Err(PublicError::not_found("snapshot", row.id)),
                }
            }
            Err(error) => {
                let refusal = PublicError::from(&error);
                tracing::warn!(
                    sandbox = sandbox.id.short(),
                    error = crate::chain(&error),
                    "no snapshot was taken"
                );
                self.end_snapshot(&row).await?;
                Err(refusal)
            }
        }
    }

    /// One snapshot of an org.
    ///
    /// # Errors
    /// [`Code::NotFound`] when it is unknown, another org's, or not whole.
    pub async fn snapshot_get(&self, org: OrgId, id: SnapshotId) -> Result<Snapshot, PublicError> {
        let row = self.snapshot_row(org, id).await?;
        let held = self.node.snapshots_held(vec![id]).await;
        Ok(shown(&row, held.get(&id)))
    }

    /// What became of a snapshot whose end nobody heard: it, if it was taken.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub async fn snapshot_made(
        &self,
        org: OrgId,
        id: SnapshotId,
    ) -> Result<Option<Snapshot>, PublicError> {
        match self.snapshot_get(org, id).await {
            Err(error) if error.code == Code::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    pub(super) async fn snapshot_row(
        &self,
        org: OrgId,
        id: SnapshotId,
    ) -> Result<SnapshotRow, PublicError> {
        let row = self.store.snapshot_get(id).await.map_err(|error| failed(&error))?;
        row.filter(|row| row.org == org && row.state == SnapshotState::Ready)
            .ok_or_else(|| PublicError::not_found("snapshot", id))
    }

    /// An org's snapshots, of one sandbox or of all, oldest first.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn snapshot_list(
        &self,
        org: OrgId,
        sandbox: Option<SandboxId>,
        page: PageRequest<SnapshotId>,
    ) -> Result<List<Snapshot>, PublicError> {
        let rows = self.store.snapshot_list(org, sandbox, page.after, page.rows()).await;
        let rows = rows.map_err(|error| failed(&error))?;
        let place = |row: &SnapshotRow| Cursor { created: row.created, id: row.id };
        let held = self.node.snapshots_held(rows.iter().map(|row| row.id).collect()).await;
        Ok(List::of(rows, &page, place, |row| shown(row, held.get(&row.id))))
    }

    /// Deletes a snapshot; what was made of it goes on.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn snapshot_delete(&self, org: OrgId, id: SnapshotId) -> Result<(), PublicError> {
        let row = self.snapshot_row(org, id).await?;
        let (ready, deleting) = (SnapshotState::Ready, SnapshotState::Deleting);
        let swap = self.store.snapshot_advance(id, ready, deleting, None).await;
        // Of two who delete it, the other one was faster.
        if swap.map_err(|error| failed(&error))? != Swap::Done {
            return Err(PublicError::not_found("snapshot", id));
        }
        fault::point(Fault::SnapshotUnwanted);
        self.end_snapshot(&row).await
    }

    /// Removes the files of a snapshot that is not to be, then its row.
    pub(super) async fn end_snapshot(&self, row: &SnapshotRow) -> Result<(), PublicError> {
        let deleted = self.node.snapshot_delete(row.id).await;
        deleted.map_err(|error| PublicError::from(&error))?;
        if row.state == SnapshotState::Ready {
            let (ready, deleting) = (SnapshotState::Ready, SnapshotState::Deleting);
            let swap = self.store.snapshot_advance(row.id, ready, deleting, None).await;
            let _: Swap = swap.map_err(|error| failed(&error))?;
        }
        self.store.snapshot_forget(row.id).await.map(drop).map_err(|error| failed(&error))
    }
}

fn check(request: &TakeSnapshot) -> Result<(), PublicError> {
    let Some(name) = &request.name else { return Ok(()) };
    let fits = (1..=MAX_SNAPSHOT_NAME_CHARS).contains(&name.chars().count());
    if fits && !name.contains('\0') {
        return Ok(());
    }
    let message = format!("`name` is 1 to {MAX_SNAPSHOT_NAME_CHARS} characters, none of them NUL");
    Err(PublicError::invalid("name", message))
}

/// With what its files hold now; without, with what they held when it was taken.
fn shown(row: &SnapshotRow, held: Option<&Held>) -> Snapshot {
    let (own_bytes, shared_bytes) =
        held.map_or((row.own_bytes, row.shared_bytes), |held| (held.own_bytes, held.shared_bytes));
    Snapshot {
        id: row.id,
        name: row.name.clone(),
        sandbox_id: row.sandbox,
        template: row.template.clone(),
        cpu: row.cpu,
        memory_mb: row.memory_mib,
        size_bytes: own_bytes,
        shared_bytes,
        pause_ms: row.pause_ms,
        created_at: row.created.to_rfc3339(),
    }
}
