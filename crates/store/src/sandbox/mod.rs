//! Sandboxes: what is wanted of each, and what its owner last reported.

use std::collections::BTreeMap;
use std::time::Duration;

use pando_types::page::Cursor;
use pando_types::{AppId, Epoch, Generation, NodeId, OrgId, SandboxId, SnapshotId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::column::{Columns, words};
use crate::{Store, StoreError, VolumeUse, page};

mod write;

macro_rules! columns {
    () => {
        "id, org_id, app_id, template, cpu, memory_mib, metadata_json, created_ms, ttl_ms, \
         deadline_ms, persistent, owner_node, epoch, desired, desired_gen, actual, actual_gen, \
         reason, boot_ms, made_of, made_of_id, idle_timeout_ms, volumes_json"
    };
}
use columns;

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
    /// It is asleep on disk, and is woken by who needs it.
    Hibernated,
    /// It has no machine; the reason says why.
    Failed,
    /// Nothing is left of it.
    Deleted,
}

words!(Actual {
    Creating => "creating",
    Running => "running",
    Paused => "paused",
    Hibernated => "hibernated",
    Failed => "failed",
    Deleted => "deleted",
});

/// What a sandbox was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MadeOf {
    /// Its template.
    Template,
    /// A snapshot.
    Snapshot(SnapshotId),
    /// Another sandbox, which ran on.
    Fork(SandboxId),
}

impl MadeOf {
    /// Its two columns.
    fn columns(self) -> (Option<&'static str>, Option<String>) {
        match self {
            Self::Template => (None, None),
            Self::Snapshot(id) => (Some("snapshot"), Some(id.to_string())),
            Self::Fork(parent) => (Some("fork"), Some(parent.to_string())),
        }
    }

    fn read(columns: &Columns<'_>) -> Result<Self, StoreError> {
        match columns.get::<Option<&str>>("made_of")? {
            None => Ok(Self::Template),
            Some("snapshot") => Ok(Self::Snapshot(columns.id("made_of_id")?)),
            Some("fork") => Ok(Self::Fork(columns.id("made_of_id")?)),
            Some(_) => Err(StoreError::Column { column: "made_of" }),
        }
    }
}

/// How long a sandbox lives, and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxLife {
    /// How long it lives from its creation, or from the last change of this.
    pub ttl: Option<Duration>,
    /// When it is to be gone.
    pub deadline: Option<Timestamp>,
    /// Whether it is kept when idle.
    pub persistent: bool,
    /// After how long without use it is put to sleep.
    pub idle_timeout: Option<Duration>,
}

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
    /// After how long without use it is put to sleep.
    pub idle_timeout: Option<Duration>,
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
    /// What it was made from.
    pub made_of: MadeOf,
    /// What it has of volumes.
    pub volumes: Vec<VolumeUse>,
}

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
        idle_timeout: columns.maybe_number("idle_timeout_ms")?.map(Duration::from_millis),
        owner_node: columns.id("owner_node")?,
        epoch: Epoch::from_row(columns.get("epoch")?),
        desired: columns.word("desired")?,
        desired_gen: Generation::from_row(columns.get("desired_gen")?),
        actual: columns.word("actual")?,
        actual_gen: Generation::from_row(columns.get("actual_gen")?),
        reason: columns.get("reason")?,
        boot_ms: columns.number("boot_ms")?,
        made_of: MadeOf::read(&columns)?,
        volumes: columns.json("volumes_json")?,
    })
}

impl Store {
    /// One sandbox, or its tombstone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_get(&self, id: SandboxId) -> Result<Option<SandboxRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM sandbox WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An org's sandboxes that are not gone and have all of these pairs, oldest
    /// first: at most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_list(
        &self,
        org: OrgId,
        pairs: &BTreeMap<String, String>,
        after: Option<Cursor<SandboxId>>,
        limit: u32,
    ) -> Result<Vec<SandboxRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(concat!(
            "SELECT ",
            columns!(),
            " FROM sandbox WHERE actual <> 'deleted' AND org_id = "
        ));
        query.push_bind(org.to_string());
        for (key, value) in pairs {
            query.push(" AND id IN (SELECT sandbox_id FROM sandbox_metadata WHERE org_id = ");
            query.push_bind(org.to_string()).push(" AND key = ").push_bind(key);
            query.push(" AND value = ").push_bind(value).push(")");
        }
        page::push(&mut query, after, limit);
        let rows = query.build().fetch_all(&self.reader).await?;
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

    /// How many sandboxes of all orgs there are in each state but the last.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_count_by_state(&self) -> Result<Vec<(Actual, u64)>, StoreError> {
        let query = sqlx::query(
            "SELECT actual, COUNT(*) AS number FROM sandbox WHERE actual <> 'deleted' \
             GROUP BY actual",
        );
        let rows = query.fetch_all(&self.reader).await?;
        let state = |row| {
            let columns = Columns(row);
            Ok((columns.word("actual")?, columns.number("number")?))
        };
        rows.iter().map(state).collect()
    }
}
