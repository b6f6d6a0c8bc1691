//! Sandboxes: what is wanted of each, and what its owner last reported.

use std::collections::BTreeMap;
use std::time::Duration;

use pando_types::{AppId, Epoch, Generation, NodeId, OrgId, SandboxId, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, Word, count, json, words};
use crate::{Insert, Store, StoreError, Swap};

macro_rules! columns {
    () => {
        "id, org_id, app_id, template, cpu, memory_mib, metadata_json, created_ms, ttl_ms, \
         deadline_ms, persistent, owner_node, epoch, desired, desired_gen, actual, actual_gen, \
         reason, boot_ms"
    };
}

/// What is wanted of a sandbox. `Deleted` is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Desired {
    /// It answers.
    Running,
    /// Its vCPUs are stopped.
    Paused,
    /// It is gone.
    Deleted,
}

words!(Desired { Running => "running", Paused => "paused", Deleted => "deleted" });

/// What its owner last reported of a sandbox. `Deleted` is final: the row is then a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actual {
    /// Nothing was reported yet.
    Creating,
    /// It answers.
    Running,
    /// Its vCPUs are stopped.
    Paused,
    /// It has no machine; the reason says why.
    Failed,
    /// Nothing is left of it.
    Deleted,
}

words!(Actual {
    Creating => "creating",
    Running => "running",
    Paused => "paused",
    Failed => "failed",
    Deleted => "deleted",
});

/// One sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxRow {
    /// Its id.
    pub id: SandboxId,
    /// Whose it is.
    pub org: OrgId,
    /// The app it builds or serves.
    pub app: Option<AppId>,
    /// The template it is restored from.
    pub template: String,
    /// vCPUs.
    pub cpu: u32,
    /// Memory.
    pub memory_mib: u32,
    /// Pairs given at creation.
    pub metadata: BTreeMap<String, String>,
    /// When it was asked for.
    pub created: Timestamp,
    /// How long it lives from its creation, or from the last change of this.
    pub ttl: Option<Duration>,
    /// When it is to be gone.
    pub deadline: Option<Timestamp>,
    /// Whether it is kept when idle.
    pub persistent: bool,
    /// The one node that may run it.
    pub owner_node: NodeId,
    /// Fences a former owner.
    pub epoch: Epoch,
    /// What is wanted.
    pub desired: Desired,
    /// Counts changes of `desired`.
    pub desired_gen: Generation,
    /// What was reported.
    pub actual: Actual,
    /// Counts reports.
    pub actual_gen: Generation,
    /// Why it is in the reported state.
    pub reason: Option<String>,
    /// Milliseconds from the request to an answering agent.
    pub boot_ms: u64,
}

/// Where a page of a list ended: the last row's `(created, id)`.
pub type SandboxKey = (Timestamp, SandboxId);

fn read(row: &SqliteRow) -> Result<SandboxRow, StoreError> {
    let columns = Columns(row);
    Ok(SandboxRow {
        id: columns.id("id")?,
        org: columns.id("org_id")?,
        app: columns.maybe_id("app_id")?,
        template: columns.get("template")?,
        cpu: columns.number("cpu")?,
        memory_mib: columns.number("memory_mib")?,
        metadata: columns.json("metadata_json")?,
        created: columns.time("created_ms")?,
        ttl: columns.maybe_number("ttl_ms")?.map(Duration::from_millis),
        deadline: columns.maybe_time("deadline_ms")?,
        persistent: columns.get("persistent")?,
        owner_node: columns.id("owner_node")?,
        epoch: Epoch::from_row(columns.get("epoch")?),
        desired: columns.word("desired")?,
        desired_gen: Generation::from_row(columns.get("desired_gen")?),
        actual: columns.word("actual")?,
        actual_gen: Generation::from_row(columns.get("actual_gen")?),
        reason: columns.get("reason")?,
        boot_ms: columns.number("boot_ms")?,
    })
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Store {
    /// Adds a sandbox; [`Insert::Exists`] when its id is taken (a retry of the same request).
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_insert(&self, sandbox: &SandboxRow) -> Result<Insert, StoreError> {
        let query = sqlx::query(concat!(
            "INSERT INTO sandbox (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19) ON CONFLICT (id) DO NOTHING"
        ));
        let result = query
            .bind(sandbox.id.to_string())
            .bind(sandbox.org.to_string())
            .bind(sandbox.app.map(|app| app.to_string()))
            .bind(&sandbox.template)
            .bind(i64::from(sandbox.cpu))
            .bind(i64::from(sandbox.memory_mib))
            .bind(json(&sandbox.metadata, "metadata_json")?)
            .bind(sandbox.created.as_millis())
            .bind(sandbox.ttl.map(millis))
            .bind(sandbox.deadline.map(Timestamp::as_millis))
            .bind(sandbox.persistent)
            .bind(sandbox.owner_node.to_string())
            .bind(sandbox.epoch.to_row())
            .bind(sandbox.desired.word())
            .bind(sandbox.desired_gen.to_row())
            .bind(sandbox.actual.word())
            .bind(sandbox.actual_gen.to_row())
            .bind(&sandbox.reason)
            .bind(count(sandbox.boot_ms))
            .execute(&self.writer)
            .await?;
        Ok(Insert::of(&result))
    }

    /// One sandbox, or its tombstone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_get(&self, id: SandboxId) -> Result<Option<SandboxRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM sandbox WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An org's sandboxes that are not gone, oldest first: at most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_list(
        &self,
        org: OrgId,
        after: Option<SandboxKey>,
        limit: u32,
    ) -> Result<Vec<SandboxRow>, StoreError> {
        let (time, id) = after
            .map_or((i64::MIN, String::new()), |(time, id)| (time.as_millis(), id.to_string()));
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM sandbox WHERE org_id = $1 AND actual <> 'deleted' \
             AND (created_ms > $2 OR (created_ms = $2 AND id > $3)) \
             ORDER BY created_ms, id LIMIT $4"
        ));
        let rows = query
            .bind(org.to_string())
            .bind(time)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(read).collect()
    }

    /// All that a node owns and that is not gone. Bounded by what one node can hold.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_list_owned(&self, node: NodeId) -> Result<Vec<SandboxRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM sandbox WHERE owner_node = $1 AND actual <> 'deleted' ORDER BY id"
        ));
        let rows = query.bind(node.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// An app's sandboxes that are not gone: the serving one, those being built or drained.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_list_app(&self, app: AppId) -> Result<Vec<SandboxRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM sandbox WHERE app_id = $1 AND actual <> 'deleted' ORDER BY created_ms, id"
        ));
        let rows = query.bind(app.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Changes what is wanted, if nobody else has since `expected_gen`. Never
    /// back from [`Desired::Deleted`]: that answers [`Swap::Stale`].
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_set_desired(
        &self,
        id: SandboxId,
        owner: NodeId,
        epoch: Epoch,
        expected_gen: Generation,
        desired: Desired,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE sandbox SET desired = $5, desired_gen = desired_gen + 1 \
             WHERE id = $1 AND owner_node = $2 AND epoch = $3 AND desired_gen = $4 \
             AND desired <> 'deleted' AND actual <> 'deleted'",
        );
        let result = query
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(epoch.to_row())
            .bind(expected_gen.to_row())
            .bind(desired.word())
            .execute(&self.writer)
            .await?;
        self.sandbox_swapped(id, result.rows_affected()).await
    }

    /// Changes how long it lives.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_set_lifecycle(
        &self,
        id: SandboxId,
        owner: NodeId,
        epoch: Epoch,
        ttl: Option<Duration>,
        deadline: Option<Timestamp>,
        persistent: bool,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE sandbox SET ttl_ms = $4, deadline_ms = $5, persistent = $6 \
             WHERE id = $1 AND owner_node = $2 AND epoch = $3 \
             AND desired <> 'deleted' AND actual <> 'deleted'",
        );
        let result = query
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(epoch.to_row())
            .bind(ttl.map(millis))
            .bind(deadline.map(Timestamp::as_millis))
            .bind(persistent)
            .execute(&self.writer)
            .await?;
        self.sandbox_swapped(id, result.rows_affected()).await
    }

    /// Takes its owner's report, unless a later one is known. `boot_ms` stays
    /// where none is given. [`Actual::Deleted`] makes the row a tombstone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    #[expect(clippy::too_many_arguments, reason = "a report is all of these, and its writer one")]
    pub async fn sandbox_report(
        &self,
        id: SandboxId,
        owner: NodeId,
        epoch: Epoch,
        actual: Actual,
        actual_gen: Generation,
        reason: Option<&str>,
        boot_ms: Option<u64>,
    ) -> Result<Swap, StoreError> {
        let deleted = (actual == Actual::Deleted).then(|| self.now().as_millis());
        let query = sqlx::query(
            "UPDATE sandbox SET actual = $4, actual_gen = $5, reason = $6, \
             boot_ms = COALESCE($7, boot_ms), deleted_ms = $8 \
             WHERE id = $1 AND owner_node = $2 AND epoch = $3 AND actual_gen < $5 \
             AND actual <> 'deleted'",
        );
        let result = query
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(epoch.to_row())
            .bind(actual.word())
            .bind(actual_gen.to_row())
            .bind(reason)
            .bind(boot_ms.map(count))
            .bind(deleted)
            .execute(&self.writer)
            .await?;
        self.sandbox_swapped(id, result.rows_affected()).await
    }

    /// Rows are never removed outright, so asking afterwards cannot mistake one.
    async fn sandbox_swapped(&self, id: SandboxId, changed: u64) -> Result<Swap, StoreError> {
        if changed > 0 {
            return Ok(Swap::Done);
        }
        let query = sqlx::query("SELECT 1 FROM sandbox WHERE id = $1");
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        Ok(if row.is_some() { Swap::Stale } else { Swap::Missing })
    }
}
