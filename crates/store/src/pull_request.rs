//! Pull requests: when that was which a forge last told of each, whether it has previews or not.

use pando_types::Timestamp;

use crate::column::count;
use crate::{StoreError, Tx};

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
