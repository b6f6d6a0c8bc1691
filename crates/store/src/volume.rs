//! Volumes: a row before the file, and after it, so that none is without an owner; and which
//! sandbox writes to each.

use pando_types::page::Cursor;
use pando_types::quota::VolumeUsage;
use pando_types::{NodeId, OrgId, SandboxId, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::column::{Columns, Word, words};
use crate::{Insert, Store, StoreError, Swap, Tx, page};

macro_rules! columns {
    () => {
        "id, org_id, name, size_mib, owner_node, state, holder_id, created_ms"
    };
}

/// Where a volume is between its first and its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VolumeState {
    /// Its file may be there, in part or whole.
    Making,
    /// It can be attached.
    Ready,
    /// Its file may be gone.
    Deleting,
}

words!(VolumeState { Making => "making", Ready => "ready", Deleting => "deleting" });

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRow {
    /// Its id.
    pub id: VolumeId,
    /// Whose it is.
    pub org: OrgId,
    /// What they call it; no two of an org are called the same.
    pub name: String,
    /// Its size.
    pub size_mib: u32,
    /// The node that has its file.
    pub owner_node: NodeId,
    /// Where it is.
    pub state: VolumeState,
    /// The sandbox that may write to it.
    pub holder: Option<SandboxId>,
    /// When it was asked for.
    pub created: Timestamp,
}

/// A volume as one of its sandboxes has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUse {
    /// What it was called when it was attached.
    pub name: String,
    /// Whether nothing is written to it.
    pub read_only: bool,
    /// Whether it came with what the sandbox was made of.
    pub copy: bool,
}

fn read(row: &SqliteRow) -> Result<VolumeRow, StoreError> {
    let columns = Columns(row);
    Ok(VolumeRow {
        id: columns.id("id")?,
        org: columns.id("org_id")?,
        name: columns.get("name")?,
        size_mib: columns.number("size_mib")?,
        owner_node: columns.id("owner_node")?,
        state: columns.word("state")?,
        holder: columns.maybe_id("holder_id")?,
        created: columns.time("created_ms")?,
    })
}

impl Store {
    /// One volume, whatever its state.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_get(&self, id: VolumeId) -> Result<Option<VolumeRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM volume WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// The volume of an org that is called so, whatever its state.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_named(
        &self,
        org: OrgId,
        name: &str,
    ) -> Result<Option<VolumeRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM volume WHERE org_id = $1 AND name = $2"
        ));
        let row = query.bind(org.to_string()).bind(name).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An org's volumes that are ready, oldest first: at most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_list(
        &self,
        org: OrgId,
        after: Option<Cursor<VolumeId>>,
        limit: u32,
    ) -> Result<Vec<VolumeRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(concat!(
            "SELECT ",
            columns!(),
            " FROM volume WHERE state = 'ready' AND org_id = "
        ));
        query.push_bind(org.to_string());
        page::push(&mut query, after, limit);
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// All that a node has, whatever their state. Bounded by what one node can hold.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_list_owned(&self, node: NodeId) -> Result<Vec<VolumeRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM volume WHERE owner_node = $1 ORDER BY id"
        ));
        let rows = query.bind(node.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Makes a volume ready whose file is there.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_ready(&self, id: VolumeId) -> Result<Swap, StoreError> {
        let query = sqlx::query("UPDATE volume SET state = $2 WHERE id = $1 AND state = $3");
        let result = query
            .bind(id.to_string())
            .bind(VolumeState::Ready.word())
            .bind(VolumeState::Making.word())
            .execute(&self.writer)
            .await?;
        self.volume_swapped(id, result.rows_affected()).await
    }

    /// Puts a volume on its way out, unless a sandbox holds it: that is [`Swap::Stale`].
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_unwant(&self, id: VolumeId) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE volume SET state = $2 WHERE id = $1 AND state <> $2 AND holder_id IS NULL",
        );
        let result = query
            .bind(id.to_string())
            .bind(VolumeState::Deleting.word())
            .execute(&self.writer)
            .await?;
        self.volume_swapped(id, result.rows_affected()).await
    }

    /// Forgets a volume whose file is gone. False when it was forgotten before.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_forget(&self, id: VolumeId) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM volume WHERE id = $1 AND state = $2");
        let query = query.bind(id.to_string()).bind(VolumeState::Deleting.word());
        Ok(query.execute(&self.writer).await?.rows_affected() > 0)
    }

    async fn volume_swapped(&self, id: VolumeId, changed: u64) -> Result<Swap, StoreError> {
        if changed > 0 {
            return Ok(Swap::Done);
        }
        Ok(if self.volume_get(id).await?.is_some() { Swap::Stale } else { Swap::Missing })
    }
}

impl Tx {
    /// Adds a volume; [`Insert::Exists`] when its id, or its name, is taken.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_insert(&mut self, volume: &VolumeRow) -> Result<Insert, StoreError> {
        let query = sqlx::query(concat!(
            "INSERT INTO volume (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"
        ));
        let result = query
            .bind(volume.id.to_string())
            .bind(volume.org.to_string())
            .bind(&volume.name)
            .bind(i64::from(volume.size_mib))
            .bind(volume.owner_node.to_string())
            .bind(volume.state.word())
            .bind(volume.holder.map(|holder| holder.to_string()))
            .bind(volume.created.as_millis())
            .execute(self.connection())
            .await?;
        Ok(Insert::of(&result))
    }

    /// What an org has of volumes, whatever their state.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_usage(&mut self, org: OrgId) -> Result<VolumeUsage, StoreError> {
        let query = sqlx::query(
            "SELECT COUNT(*) AS volumes, COALESCE(SUM(size_mib), 0) AS mib FROM volume \
             WHERE org_id = $1",
        );
        let row = query.bind(org.to_string()).fetch_one(self.connection()).await?;
        let columns = Columns(&row);
        Ok(VolumeUsage { volumes: columns.number("volumes")?, mib: columns.number("mib")? })
    }

    /// The volume of an org that is called so and is ready, as it is now that nobody else writes.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_named(
        &mut self,
        org: OrgId,
        name: &str,
    ) -> Result<Option<VolumeRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM volume WHERE org_id = $1 AND name = $2 AND state = 'ready'"
        ));
        let query = query.bind(org.to_string()).bind(name);
        query.fetch_optional(self.connection()).await?.as_ref().map(read).transpose()
    }

    /// Gives a volume to the sandbox that is to write to it, unless another has it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn volume_hold(
        &mut self,
        id: VolumeId,
        holder: SandboxId,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE volume SET holder_id = $2 \
             WHERE id = $1 AND state = 'ready' AND holder_id IS NULL",
        );
        let query = query.bind(id.to_string()).bind(holder.to_string());
        let changed = query.execute(self.connection()).await?.rows_affected();
        Ok(if changed > 0 { Swap::Done } else { Swap::Stale })
    }

    /// Takes all volumes from a sandbox that will never write to them again.
    pub(crate) async fn volume_release(&mut self, holder: SandboxId) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE volume SET holder_id = NULL WHERE holder_id = $1");
        query.bind(holder.to_string()).execute(self.connection()).await?;
        Ok(())
    }
}
