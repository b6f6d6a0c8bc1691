//! What deployments say: rows that are only added, each a few whole lines.

use pando_types::app::DeploymentStatus;
use pando_types::{AppId, DeploymentId, Timestamp};
use sqlx::Row;

use crate::column::{Columns, Word, count};
use crate::{Store, StoreError, Tx};

/// Some lines of one deployment's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its place in the log.
    pub seq: u64,
    /// When it was said.
    pub at: Timestamp,
    /// What the deployment was doing.
    pub status: DeploymentStatus,
    /// Whole lines, each ending in a newline.
    pub text: String,
}

impl Store {
    /// Adds rows, all or none.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Database`] when a `seq` is taken: one writer per log.
    pub async fn deployment_log_append(
        &self,
        deployment: DeploymentId,
        rows: &[LogRow],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for row in rows {
            let query = sqlx::query(
                "INSERT INTO deployment_log (deployment_id, seq, at_ms, status, text) \
                 VALUES ($1, $2, $3, $4, $5)",
            );
            query
                .bind(deployment.to_string())
                .bind(count(row.seq))
                .bind(row.at.as_millis())
                .bind(row.status.word())
                .bind(&row.text)
                .execute(tx.connection())
                .await?;
        }
        tx.commit().await
    }

    /// The rows from `from` on, at most `limit`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_log_list(
        &self,
        deployment: DeploymentId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<LogRow>, StoreError> {
        let query = sqlx::query(
            "SELECT seq, at_ms, status, text FROM deployment_log \
             WHERE deployment_id = $1 AND seq >= $2 ORDER BY seq LIMIT $3",
        );
        let rows = query
            .bind(deployment.to_string())
            .bind(count(from))
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await?;
        let read = |row| {
            let columns = Columns(row);
            Ok(LogRow {
                seq: columns.number("seq")?,
                at: columns.time("at_ms")?,
                status: columns.word("status")?,
                text: columns.get("text")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Where a log ends: the next `seq`, and the bytes of text in it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_log_end(
        &self,
        deployment: DeploymentId,
    ) -> Result<(u64, u64), StoreError> {
        let query = sqlx::query(
            "SELECT COALESCE(MAX(seq) + 1, 0), COALESCE(SUM(OCTET_LENGTH(text)), 0) \
             FROM deployment_log WHERE deployment_id = $1",
        );
        let row = query.bind(deployment.to_string()).fetch_one(&self.reader).await?;
        let number = |index: usize| -> Result<u64, StoreError> {
            Ok(u64::try_from(row.try_get::<i64, _>(index)?).unwrap_or(0))
        };
        Ok((number(0)?, number(1)?))
    }
}

impl Tx {
    pub(crate) async fn deployment_log_clear(&mut self, app: AppId) -> Result<(), StoreError> {
        let query = sqlx::query(
            "DELETE FROM deployment_log \
             WHERE deployment_id IN (SELECT id FROM deployment WHERE app_id = $1)",
        );
        query.bind(app.to_string()).execute(self.connection()).await?;
        Ok(())
    }
}
