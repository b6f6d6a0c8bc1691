//! Jobs: long work that survives the process that does it.
//!
//! ```text
//! put ──► waiting (run_at) ──claim──► leased ──finish──► gone
//!            ▲                          │  │
//!            ├── retry, or lease over ──┘  │
//!            └── put again meanwhile ──────┘   (finish answers Again)
//! ```
//!
//! A job is told apart by kind and key while it is open. Putting it again raises
//! its revision; a worker that finishes an older one is told to run once more, so
//! a wish that comes while the job runs is never lost. Leases are measured by the
//! store's own clock. Every step may run twice.

use std::time::Duration;

use pando_types::{BootId, JobId, Timestamp};
use sqlx::Row;

use crate::column::Columns;
use crate::{Store, StoreError, Tx};

/// Work that somebody wants done.
#[derive(Debug, Clone, Copy)]
pub struct JobWish<'a> {
    /// Who does it.
    pub kind: &'a str,
    /// What it is about: at most one open job of a kind has it.
    pub key: &'a str,
    /// What the worker must know, as JSON.
    pub payload: &'a str,
    /// Not before this.
    pub run_at: Timestamp,
}

/// The right to work on a job, until it runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Who has it.
    pub owner: BootId,
    epoch: i64,
    revision: i64,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// The right to work on it.
    pub lease: Lease,
    /// What it is about.
    pub key: String,
    /// How far it is; empty at first.
    pub step: String,
    /// What the worker must know, as JSON.
    pub payload: String,
    /// How often it was claimed since it was last put, this time included.
    pub attempts: u32,
}

/// How finishing a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Finish {
    /// It is gone.
    Done,
    /// It was put again meanwhile, and waits to be claimed once more.
    Again,
    /// The lease ran out and is another's, or was never given.
    Lost,
}

impl Store {
    /// [`Tx::job_put`] by itself.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_put(&self, wish: &JobWish<'_>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.job_put(wish).await?;
        tx.commit().await
    }

    /// Takes the next due job of a kind for `span`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_claim(
        &self,
        kind: &str,
        owner: BootId,
        span: Duration,
    ) -> Result<Option<JobRow>, StoreError> {
        let now = self.now();
        // The outer condition again: where writers run side by side, two may
        // find the same row, and the second must not get it.
        let query = sqlx::query(
            "UPDATE job SET lease_owner = $3, lease_until_ms = $4, \
             lease_epoch = lease_epoch + 1, attempts = attempts + 1 \
             WHERE id = (SELECT id FROM job WHERE kind = $1 AND run_at_ms <= $2 \
             AND lease_until_ms <= $2 ORDER BY run_at_ms, id LIMIT 1) AND lease_until_ms <= $2 \
             RETURNING id, unique_key, revision, step, payload_json, attempts, lease_epoch",
        );
        let row = query
            .bind(kind)
            .bind(now.as_millis())
            .bind(owner.to_string())
            .bind(now.plus(span).as_millis())
            .fetch_optional(&self.writer)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns(&row);
        Ok(Some(JobRow {
            lease: Lease {
                job: columns.id("id")?,
                owner,
                epoch: columns.get("lease_epoch")?,
                revision: columns.get("revision")?,
            },
            key: columns.get("unique_key")?,
            step: columns.get("step")?,
            payload: columns.get("payload_json")?,
            attempts: columns.number("attempts")?,
        }))
    }

    /// Keeps a lease for `span` from now; false when it is lost.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_renew(&self, lease: &Lease, span: Duration) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE job SET lease_until_ms = $4 \
             WHERE id = $1 AND lease_owner = $2 AND lease_epoch = $3",
        );
        let result = query
            .bind(lease.job.to_string())
            .bind(lease.owner.to_string())
            .bind(lease.epoch)
            .bind(self.now().plus(span).as_millis())
            .execute(&self.writer)
            .await?;
        Ok(result.rows_affected() > 0)
    }

    /// Remembers how far a job is; false when the lease is lost.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_step(&self, lease: &Lease, step: &str) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE job SET step = $4 WHERE id = $1 AND lease_owner = $2 AND lease_epoch = $3",
        );
        let result = query
            .bind(lease.job.to_string())
            .bind(lease.owner.to_string())
            .bind(lease.epoch)
            .bind(step)
            .execute(&self.writer)
            .await?;
        Ok(result.rows_affected() > 0)
    }

    /// Ends a job.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_finish(&self, lease: &Lease) -> Result<Finish, StoreError> {
        let mut tx = self.begin().await?;
        let query = sqlx::query(
            "DELETE FROM job \
             WHERE id = $1 AND lease_owner = $2 AND lease_epoch = $3 AND revision = $4",
        );
        let result = query
            .bind(lease.job.to_string())
            .bind(lease.owner.to_string())
            .bind(lease.epoch)
            .bind(lease.revision)
            .execute(tx.connection())
            .await?;
        let finish = if result.rows_affected() > 0 {
            Finish::Done
        } else if tx.job_release(lease, None).await? {
            Finish::Again
        } else {
            Finish::Lost
        };
        tx.commit().await?;
        Ok(finish)
    }

    /// Gives a job back, to be claimed again from `run_at` on; false when the lease is lost.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_retry(&self, lease: &Lease, run_at: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let released = tx.job_release(lease, Some(run_at)).await?;
        tx.commit().await?;
        Ok(released)
    }

    /// When the next job of a kind can be claimed.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_next(&self, kind: &str) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query(
            "SELECT MIN(CASE WHEN lease_until_ms > run_at_ms THEN lease_until_ms \
             ELSE run_at_ms END) FROM job WHERE kind = $1",
        );
        let row = query.bind(kind).fetch_one(&self.reader).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_millis))
    }

    /// Frees every lease that another start of the server holds; how many. Right
    /// only where one process at a time has the store, as with SQLite: whoever
    /// held them is dead.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_release_of_other_boots(&self, boot: BootId) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "UPDATE job SET lease_owner = NULL, lease_until_ms = 0 \
             WHERE lease_owner IS NOT NULL AND lease_owner <> $1",
        );
        Ok(query.bind(boot.to_string()).execute(&self.writer).await?.rows_affected())
    }
}

impl Tx {
    /// Wants work done. An open job of that kind and key takes the new payload,
    /// the earlier of both times, and counts its attempts anew.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn job_put(&mut self, wish: &JobWish<'_>) -> Result<(), StoreError> {
        let now = self.now.as_millis();
        let query = sqlx::query(
            "INSERT INTO job (id, kind, unique_key, revision, step, payload_json, attempts, \
             run_at_ms, lease_owner, lease_epoch, lease_until_ms, created_ms) \
             VALUES ($1, $2, $3, 1, '', $4, 0, $5, NULL, 0, 0, $6) \
             ON CONFLICT (kind, unique_key) DO UPDATE SET revision = job.revision + 1, \
             payload_json = excluded.payload_json, attempts = 0, \
             run_at_ms = CASE WHEN excluded.run_at_ms < job.run_at_ms \
             THEN excluded.run_at_ms ELSE job.run_at_ms END",
        );
        query
            .bind(JobId::new().to_string())
            .bind(wish.kind)
            .bind(wish.key)
            .bind(wish.payload)
            .bind(wish.run_at.as_millis())
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn job_release(
        &mut self,
        lease: &Lease,
        run_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE job SET lease_owner = NULL, lease_until_ms = 0, \
             run_at_ms = COALESCE($4, run_at_ms) \
             WHERE id = $1 AND lease_owner = $2 AND lease_epoch = $3",
        );
        let result = query
            .bind(lease.job.to_string())
            .bind(lease.owner.to_string())
            .bind(lease.epoch)
            .bind(run_at.map(Timestamp::as_millis))
            .execute(self.connection())
            .await?;
        Ok(result.rows_affected() > 0)
    }
}
