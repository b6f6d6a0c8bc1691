//! What happened to sandboxes: rows that are only added, bounded for each
//! sandbox, kept for some time after its end.

use pando_types::limits::MAX_EVENTS;
use pando_types::sandbox::SandboxEventKind;
use pando_types::{SandboxId, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, Word, count, words};
use crate::{Store, StoreError, Tx};

words!(SandboxEventKind {
    Created => "created",
    Running => "running",
    Paused => "paused",
    Resumed => "resumed",
    Hibernated => "hibernated",
    Woken => "woken",
    LifecycleSet => "lifecycle_set",
    Failed => "failed",
    Deleted => "deleted",
});

/// One thing that happened to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number within the sandbox, from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: SandboxEventKind,
    /// Why, or to what.
    pub detail: Option<String>,
}

fn read(row: &SqliteRow) -> Result<EventRow, StoreError> {
    let columns = Columns(row);
    Ok(EventRow {
        seq: columns.number("seq")?,
        at: columns.time("at_ms")?,
        kind: columns.word("kind")?,
        detail: columns.get("detail")?,
    })
}

impl Store {
    /// The newest events of a sandbox, at most `limit` and only those after the
    /// number `after`; oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn event_list(
        &self,
        sandbox: SandboxId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        let query = sqlx::query(
            "SELECT seq, at_ms, kind, detail FROM sandbox_event \
             WHERE sandbox_id = $1 AND seq > $2 ORDER BY seq DESC LIMIT $3",
        );
        let rows = query
            .bind(sandbox.to_string())
            .bind(count(after))
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await?;
        rows.iter().rev().map(read).collect()
    }

    /// Forgets the events of at most `limit` sandboxes that were gone before
    /// `before`; of how many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn event_prune(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let query = sqlx::query(
            "SELECT id FROM sandbox WHERE deleted_ms IS NOT NULL AND has_events \
             AND deleted_ms < $1 ORDER BY deleted_ms LIMIT $2",
        );
        let query = query.bind(before.as_millis()).bind(i64::from(limit));
        let rows = query.fetch_all(tx.connection()).await?;
        for row in &rows {
            let id: &str = row.try_get("id")?;
            let query = sqlx::query("DELETE FROM sandbox_event WHERE sandbox_id = $1");
            query.bind(id).execute(tx.connection()).await?;
            let query = sqlx::query("UPDATE sandbox SET has_events = FALSE WHERE id = $1");
            query.bind(id).execute(tx.connection()).await?;
        }
        tx.commit().await?;
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }
}

impl Tx {
    /// Adds an event; the oldest goes where there are [`MAX_EVENTS`] already.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn event_add(
        &mut self,
        sandbox: SandboxId,
        kind: SandboxEventKind,
        detail: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.now.as_millis();
        let query = sqlx::query(
            "INSERT INTO sandbox_event (sandbox_id, seq, at_ms, kind, detail) \
             SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4 \
             FROM sandbox_event WHERE sandbox_id = $1 RETURNING seq",
        );
        let row = query
            .bind(sandbox.to_string())
            .bind(now)
            .bind(kind.word())
            .bind(detail)
            .fetch_one(self.connection())
            .await?;
        let oldest = row.try_get::<i64, _>(0)? - i64::from(MAX_EVENTS);
        if oldest > 0 {
            let query =
                sqlx::query("DELETE FROM sandbox_event WHERE sandbox_id = $1 AND seq <= $2");
            query.bind(sandbox.to_string()).bind(oldest).execute(self.connection()).await?;
        }
        Ok(())
    }
}
