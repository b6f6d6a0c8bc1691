//! Pull requests: when that was which a forge last told of each, whether it has previews or not.

use pando_types::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, count};
use crate::{Store, StoreError, Tx};

impl Tx {
    /// Keeps that the forge told of a pull request as it was at this moment, by its own clock,
    /// unless it told of something later before; whether it is kept.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn pull_request_told(
        &mut self,
        repo_key: &str,
        number: u64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "INSERT INTO pull_request_told (repo_key, number, told_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (repo_key, number) DO UPDATE SET told_ms = excluded.told_ms \
             WHERE pull_request_told.told_ms <= excluded.told_ms",
        );
        let query = query.bind(repo_key).bind(count(number)).bind(at.as_millis());
        Ok(query.execute(self.connection()).await?.rows_affected() > 0)
    }

    /// Forgets pull requests of which nothing was told from `before` on; how many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn pull_request_prune(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM pull_request_told WHERE told_ms < $1");
        Ok(query.bind(before.as_millis()).execute(self.connection()).await?.rows_affected())
    }
}

/// A pull request that has previews.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewedPull {
    /// The repository in one spelling, by which apps are found.
    pub repo_key: String,
    /// `owner/repo`, as the forge spells it.
    pub repo_full_name: String,
    /// Its number there.
    pub number: u64,
}

impl Store {
    /// The pull requests with kept previews, of whichever org, each once, in a lasting order: at
    /// most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn preview_list_pulls(
        &self,
        after: Option<&PreviewedPull>,
        limit: u32,
    ) -> Result<Vec<PreviewedPull>, StoreError> {
        let query = sqlx::query(
            "SELECT repo_key, pr_number, MAX(repo_full_name) AS repo_full_name FROM app \
             WHERE kind = 'preview' AND desired = 'kept' \
             AND (repo_key > $1 OR (repo_key = $1 AND pr_number > $2)) \
             GROUP BY repo_key, pr_number ORDER BY repo_key, pr_number LIMIT $3",
        );
        let (key, number) = after.map_or(("", 0), |it| (it.repo_key.as_str(), it.number));
        let query = query.bind(key).bind(count(number)).bind(i64::from(limit));
        let rows = query.fetch_all(&self.reader).await?;
        let read = |row: &SqliteRow| {
            let columns = Columns(row);
            Ok(PreviewedPull {
                repo_key: columns.get("repo_key")?,
                repo_full_name: columns.get("repo_full_name")?,
                number: columns.number("pr_number")?,
            })
        };
        rows.iter().map(read).collect()
    }
}
