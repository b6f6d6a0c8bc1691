//! Snapshots: a row before the files, and after them, so that none is without an owner.

use pando_types::page::Cursor;
use pando_types::{NodeId, OrgId, SandboxId, SnapshotId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::column::{Columns, Word, count, words};
use crate::{Insert, Store, StoreError, Swap, Tx, page};

macro_rules! columns {
    () => {
        "id, org_id, sandbox_id, name, template, cpu, memory_mib, owner_node, state, own_bytes, \
         shared_bytes, pause_ms, created_ms"
    };
}

/// Where a snapshot is between its first and its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotState {
    /// Its files may be there in part.
    Taking,
    /// It can be restored.
    Ready,
    /// Its files may be gone in part.
    Deleting,
}

words!(SnapshotState { Taking => "taking", Ready => "ready", Deleting => "deleting" });

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its id.
    pub id: SnapshotId,
    /// Whose it is.
    pub org: OrgId,
    /// The sandbox it was taken of.
    pub sandbox: SandboxId,
    /// What people call it.
    pub name: Option<String>,
    /// The template that the sandbox goes back to.
    pub template: String,
    /// vCPUs.
    pub cpu: u32,
    /// Memory.
    pub memory_mib: u32,
    /// The node that has its files.
    pub owner_node: NodeId,
    /// Where it is.
    pub state: SnapshotState,
    /// Bytes on disk that were its own when it was taken.
    pub own_bytes: u64,
    /// Bytes that it shared when it was taken.
    pub shared_bytes: u64,
    /// Milliseconds that the sandbox stood still for it.
    pub pause_ms: u64,
    /// When it was taken.
    pub created: Timestamp,
}

/// What is known of a snapshot once its files are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Bytes on disk that are its own.
    pub own_bytes: u64,
    /// Bytes that it shares.
    pub shared_bytes: u64,
    /// Milliseconds that the sandbox stood still for it.
    pub pause_ms: u64,
}

fn read(row: &SqliteRow) -> Result<SnapshotRow, StoreError> {
    let columns = Columns(row);
    Ok(SnapshotRow {
        id: columns.id("id")?,
        org: columns.id("org_id")?,
        sandbox: columns.id("sandbox_id")?,
        name: columns.get("name")?,
        template: columns.get("template")?,
        cpu: columns.number("cpu")?,
        memory_mib: columns.number("memory_mib")?,
        owner_node: columns.id("owner_node")?,
        state: columns.word("state")?,
        own_bytes: columns.number("own_bytes")?,
        shared_bytes: columns.number("shared_bytes")?,
        pause_ms: columns.number("pause_ms")?,
        created: columns.time("created_ms")?,
    })
}

impl Store {
    /// One snapshot, whatever its state.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn snapshot_get(&self, id: SnapshotId) -> Result<Option<SnapshotRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM snapshot WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An org's snapshots that are ready, of one sandbox or of all, oldest first: at
    /// most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn snapshot_list(
        &self,
        org: OrgId,
        sandbox: Option<SandboxId>,
        after: Option<Cursor<SnapshotId>>,
        limit: u32,
    ) -> Result<Vec<SnapshotRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(concat!(
            "SELECT ",
            columns!(),
            " FROM snapshot WHERE state = 'ready' AND org_id = "
        ));
        query.push_bind(org.to_string());
        if let Some(sandbox) = sandbox {
            query.push(" AND sandbox_id = ").push_bind(sandbox.to_string());
        }
        page::push(&mut query, after, limit);
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// All snapshots whose files a node has, whatever their state.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn snapshot_list_owned(&self, node: NodeId) -> Result<Vec<SnapshotRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM snapshot WHERE owner_node = $1 ORDER BY id"
        ));
        let rows = query.bind(node.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Moves a snapshot from one state to the next, with its size where that is known now.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn snapshot_advance(
        &self,
        id: SnapshotId,
        from: SnapshotState,
        to: SnapshotState,
        size: Option<SnapshotSize>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE snapshot SET state = $3, own_bytes = COALESCE($4, own_bytes), \
             shared_bytes = COALESCE($5, shared_bytes), pause_ms = COALESCE($6, pause_ms) \
             WHERE id = $1 AND state = $2",
        );
        let result = query
            .bind(id.to_string())
            .bind(from.word())
            .bind(to.word())
            .bind(size.map(|size| count(size.own_bytes)))
            .bind(size.map(|size| count(size.shared_bytes)))
            .bind(size.map(|size| count(size.pause_ms)))
            .execute(&self.writer)
            .await?;
        if result.rows_affected() > 0 {
            return Ok(Swap::Done);
        }
        Ok(if self.snapshot_get(id).await?.is_some() { Swap::Stale } else { Swap::Missing })
    }

    /// Forgets a snapshot whose files are gone. False when it was forgotten before.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn snapshot_forget(&self, id: SnapshotId) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM snapshot WHERE id = $1 AND state <> 'ready'");
        let result = query.bind(id.to_string()).execute(&self.writer).await?;
        Ok(result.rows_affected() > 0)
    }
}

impl Tx {
    /// Adds a snapshot; [`Insert::Exists`] when its id is taken.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn snapshot_insert(&mut self, snapshot: &SnapshotRow) -> Result<Insert, StoreError> {
        let query = sqlx::query(concat!(
            "INSERT INTO snapshot (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (id) DO NOTHING"
        ));
        let result = query
            .bind(snapshot.id.to_string())
            .bind(snapshot.org.to_string())
            .bind(snapshot.sandbox.to_string())
            .bind(&snapshot.name)
            .bind(&snapshot.template)
            .bind(i64::from(snapshot.cpu))
            .bind(i64::from(snapshot.memory_mib))
            .bind(snapshot.owner_node.to_string())
            .bind(snapshot.state.word())
            .bind(count(snapshot.own_bytes))
            .bind(count(snapshot.shared_bytes))
            .bind(count(snapshot.pause_ms))
            .bind(snapshot.created.as_millis())
            .execute(self.connection())
            .await?;
        Ok(Insert::of(&result))
    }

    /// How many snapshots an org has, whatever their state.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn snapshot_count(&mut self, org: OrgId) -> Result<u32, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) AS snapshots FROM snapshot WHERE org_id = $1");
        let row = query.bind(org.to_string()).fetch_one(self.connection()).await?;
        Columns(&row).number("snapshots")
    }
}
