//! Builds of templates: queued, running, and how they ended.

use pando_types::page::Cursor;
use pando_types::template::TemplateBuildStatus;
use pando_types::{NodeId, OrgId, TemplateBuildId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::column::{Columns, Word, count, words};
use crate::{Store, StoreError, Swap, Tx, page};

macro_rules! columns {
    () => {
        "id, org_id, owner_node, name, status, error, size_mib, bytes, image_ref, created_ms, \
         started_ms, ended_ms"
    };
}

words!(TemplateBuildStatus {
    Queued => "queued",
    Running => "running",
    Done => "done",
    Failed => "failed",
});

/// One build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateBuildRow {
    /// Its id.
    pub id: TemplateBuildId,
    /// Whose it is.
    pub org: OrgId,
    /// The node that does it.
    pub owner_node: NodeId,
    /// The template's name.
    pub name: String,
    /// Where it is.
    pub status: TemplateBuildStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// The size of the root disk.
    pub size_mib: u32,
    /// What the template's files hold.
    pub bytes: Option<u64>,
    /// The image of a registry that it is made of.
    pub image_ref: Option<String>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

fn read(row: &SqliteRow) -> Result<TemplateBuildRow, StoreError> {
    let columns = Columns(row);
    Ok(TemplateBuildRow {
        id: columns.id("id")?,
        org: columns.id("org_id")?,
        owner_node: columns.id("owner_node")?,
        name: columns.get("name")?,
        status: columns.word("status")?,
        error: columns.get("error")?,
        size_mib: columns.number("size_mib")?,
        bytes: columns.maybe_number("bytes")?,
        image_ref: columns.get("image_ref")?,
        created: columns.time("created_ms")?,
        started: columns.maybe_time("started_ms")?,
        ended: columns.maybe_time("ended_ms")?,
    })
}

impl Store {
    /// One build.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_build_get(
        &self,
        id: TemplateBuildId,
    ) -> Result<Option<TemplateBuildRow>, StoreError> {
        let query =
            sqlx::query(concat!("SELECT ", columns!(), " FROM template_build WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An org's builds, oldest first: at most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_build_list(
        &self,
        org: OrgId,
        after: Option<Cursor<TemplateBuildId>>,
        limit: u32,
    ) -> Result<Vec<TemplateBuildRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(concat!(
            "SELECT ",
            columns!(),
            " FROM template_build WHERE org_id = "
        ));
        query.push_bind(org.to_string());
        page::push(&mut query, after, limit);
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Records that a queued build begins.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_build_begin(&self, id: TemplateBuildId) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE template_build SET status = 'running', started_ms = $2 \
             WHERE id = $1 AND status = 'queued'",
        );
        let now = self.now().as_millis();
        let result = query.bind(id.to_string()).bind(now).execute(&self.writer).await?;
        if result.rows_affected() > 0 {
            return Ok(Swap::Done);
        }
        Ok(if self.template_build_get(id).await?.is_some() { Swap::Stale } else { Swap::Missing })
    }

    /// Fails the builds of a node that did not end: the server that did them is gone. Returns
    /// how many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_build_fail_open(
        &self,
        node: NodeId,
        error: &str,
    ) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "UPDATE template_build SET status = 'failed', error = $2, ended_ms = $3 \
             WHERE owner_node = $1 AND status IN ('queued', 'running')",
        );
        let query = query.bind(node.to_string()).bind(error).bind(self.now().as_millis());
        Ok(query.execute(&self.writer).await?.rows_affected())
    }

    /// Forgets all but the last `keep` builds of an org that ended; returns those.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_build_prune(
        &self,
        org: OrgId,
        keep: u32,
    ) -> Result<Vec<TemplateBuildId>, StoreError> {
        let query = sqlx::query(
            "DELETE FROM template_build WHERE org_id = $1 AND status IN ('done', 'failed') \
             AND id NOT IN (SELECT id FROM template_build WHERE org_id = $1 \
             ORDER BY created_ms DESC, id DESC LIMIT $2) RETURNING id",
        );
        let query = query.bind(org.to_string()).bind(i64::from(keep));
        let rows = query.fetch_all(&self.writer).await?;
        rows.iter().map(|row| Columns(row).id("id")).collect()
    }
}

impl Tx {
    /// Adds a build.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_build_insert(
        &mut self,
        build: &TemplateBuildRow,
    ) -> Result<(), StoreError> {
        sqlx::query(concat!(
            "INSERT INTO template_build (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        ))
        .bind(build.id.to_string())
        .bind(build.org.to_string())
        .bind(build.owner_node.to_string())
        .bind(&build.name)
        .bind(build.status.word())
        .bind(&build.error)
        .bind(i64::from(build.size_mib))
        .bind(build.bytes.map(count))
        .bind(&build.image_ref)
        .bind(build.created.as_millis())
        .bind(build.started.map(Timestamp::as_millis))
        .bind(build.ended.map(Timestamp::as_millis))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// How many builds of an org have not ended.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_build_open(&mut self, org: OrgId) -> Result<u32, StoreError> {
        let query = sqlx::query(
            "SELECT COUNT(*) AS builds FROM template_build \
             WHERE org_id = $1 AND status IN ('queued', 'running')",
        );
        let row = query.bind(org.to_string()).fetch_one(self.connection()).await?;
        Columns(&row).number("builds")
    }

    /// Ends a build that runs or waits: with what its template holds, or the reason that
    /// there is none.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn template_build_end(
        &mut self,
        id: TemplateBuildId,
        outcome: Result<u64, &str>,
        at: Timestamp,
    ) -> Result<Swap, StoreError> {
        let status = match outcome {
            Ok(_) => TemplateBuildStatus::Done,
            Err(_) => TemplateBuildStatus::Failed,
        };
        let query = sqlx::query(
            "UPDATE template_build SET status = $2, bytes = $3, error = $4, ended_ms = $5 \
             WHERE id = $1 AND status IN ('queued', 'running')",
        );
        let result = query
            .bind(id.to_string())
            .bind(status.word())
            .bind(outcome.ok().map(count))
            .bind(outcome.err())
            .bind(at.as_millis())
            .execute(self.connection())
            .await?;
        Ok(if result.rows_affected() > 0 { Swap::Done } else { Swap::Stale })
    }
}
