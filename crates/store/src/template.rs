//! Templates of an org: a name for a snapshot of its node.

use pando_types::{NodeId, OrgId, SnapshotId, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, count};
use crate::{Store, StoreError, Tx};

macro_rules! columns {
    () => {
        "org_id, name, version, cpu, memory_mib, size_bytes, snapshot_id, owner_node, \
         config_json, created_ms"
    };
}

/// One template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRow {
    /// Whose it is.
    pub org: OrgId,
    /// What it is called.
    pub name: String,
    /// How often it was built.
    pub version: u32,
    /// vCPUs.
    pub cpu: u32,
    /// Memory.
    pub memory_mib: u32,
    /// Its root disk as the guest sees it.
    pub size_bytes: u64,
    /// Where its files are.
    pub snapshot: SnapshotId,
    /// The node that has them.
    pub owner_node: NodeId,
    /// What runs in it, as JSON.
    pub config: String,
    /// When it was built.
    pub created: Timestamp,
}

fn read(row: &SqliteRow) -> Result<TemplateRow, StoreError> {
    let columns = Columns(row);
    Ok(TemplateRow {
        org: columns.id("org_id")?,
        name: columns.get("name")?,
        version: columns.number("version")?,
        cpu: columns.number("cpu")?,
        memory_mib: columns.number("memory_mib")?,
        size_bytes: columns.number("size_bytes")?,
        snapshot: columns.id("snapshot_id")?,
        owner_node: columns.id("owner_node")?,
        config: columns.get("config_json")?,
        created: columns.time("created_ms")?,
    })
}

impl Store {
    /// One template.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_get(
        &self,
        org: OrgId,
        name: &str,
    ) -> Result<Option<TemplateRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM template WHERE org_id = $1 AND name = $2"
        ));
        let row = query.bind(org.to_string()).bind(name).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An org's templates by name; their number is bounded when they are added.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_list(&self, org: OrgId) -> Result<Vec<TemplateRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM template WHERE org_id = $1 ORDER BY name"
        ));
        let rows = query.bind(org.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// All templates whose files a node has.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_list_owned(&self, node: NodeId) -> Result<Vec<TemplateRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM template WHERE owner_node = $1 ORDER BY org_id, name"
        ));
        let rows = query.bind(node.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Forgets a template, if its files are still those; its files go after that. False when
    /// it was forgotten, or replaced, before.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_forget(
        &self,
        org: OrgId,
        name: &str,
        snapshot: SnapshotId,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "DELETE FROM template WHERE org_id = $1 AND name = $2 AND snapshot_id = $3",
        );
        let query = query.bind(org.to_string()).bind(name).bind(snapshot.to_string());
        Ok(query.execute(&self.writer).await?.rows_affected() > 0)
    }
}

impl Tx {
    /// Puts a template in the place of the one of that name, whose files are then nobody's:
    /// returns it. The version is set here.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_replace(
        &mut self,
        template: &TemplateRow,
    ) -> Result<Option<TemplateRow>, StoreError> {
        let query = sqlx::query(concat!(
            "DELETE FROM template WHERE org_id = $1 AND name = $2 RETURNING ",
            columns!()
        ));
        let query = query.bind(template.org.to_string()).bind(&template.name);
        let former = query.fetch_optional(self.connection()).await?;
        let former = former.as_ref().map(read).transpose()?;
        let version = former.as_ref().map_or(1, |former| former.version.saturating_add(1));
        sqlx::query(concat!(
            "INSERT INTO template (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ))
        .bind(template.org.to_string())
        .bind(&template.name)
        .bind(i64::from(version))
        .bind(i64::from(template.cpu))
        .bind(i64::from(template.memory_mib))
        .bind(count(template.size_bytes))
        .bind(template.snapshot.to_string())
        .bind(template.owner_node.to_string())
        .bind(&template.config)
        .bind(template.created.as_millis())
        .execute(self.connection())
        .await?;
        Ok(former)
    }

    /// How many templates an org has under other names than this.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_count_others(
        &mut self,
        org: OrgId,
        name: &str,
    ) -> Result<u32, StoreError> {
        let query = sqlx::query(
            "SELECT COUNT(*) AS templates FROM template WHERE org_id = $1 AND name <> $2",
        );
        let row = query.bind(org.to_string()).bind(name).fetch_one(self.connection()).await?;
        Columns(&row).number("templates")
    }
}
