//! Creates that may be repeated: one row for each key that a client gave, from
//! before the work is begun until a day after.

use pando_types::limits::KEEP_IDEMPOTENCY;
use pando_types::{OrgId, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::{Store, StoreError, Tx};

/// What is known of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Whose key it is.
    pub org: OrgId,
    /// The key, as the client chose it.
    pub key: String,
    /// SHA-256 of the request that it came with first.
    pub fingerprint: [u8; 32],
    /// The id of what is made; chosen before it is.
    pub subject: String,
    /// What was answered, once it was: the HTTP status and the sealed body.
    pub answer: Option<(u16, Vec<u8>)>,
    /// When the key came first.
    pub created: Timestamp,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The key is new and the claimant's.
    New,
    /// The key came before.
    Known(IdempotencyRow),
}

fn read(row: &SqliteRow) -> Result<IdempotencyRow, StoreError> {
    let columns = Columns(row);
    let fingerprint: &[u8] = columns.get("fingerprint")?;
    let status = columns.maybe_number("status")?;
    let answer: Option<Vec<u8>> = columns.get("answer_sealed")?;
    Ok(IdempotencyRow {
        org: columns.id("org_id")?,
        key: columns.get("key")?,
        fingerprint: fingerprint
            .try_into()
            .map_err(|_| StoreError::Column { column: "fingerprint" })?,
        subject: columns.get("subject")?,
        answer: status.zip(answer),
        created: columns.time("created_ms")?,
    })
}

impl Store {
    /// Claims a key for work that is about to begin, unless it came within the last day.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn idempotency_claim(&self, claim: &IdempotencyRow) -> Result<Claim, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(known) = tx.idempotency_get(claim.org, &claim.key).await? {
            if tx.now.since(known.created) < KEEP_IDEMPOTENCY {
                return Ok(Claim::Known(known));
            }
            tx.idempotency_delete(claim.org, &claim.key).await?;
        }
        let query = sqlx::query(
            "INSERT INTO idempotency (org_id, key, fingerprint, subject, created_ms) \
             VALUES ($1, $2, $3, $4, $5)",
        );
        query
            .bind(claim.org.to_string())
            .bind(&claim.key)
            .bind(claim.fingerprint.as_slice())
            .bind(&claim.subject)
            .bind(claim.created.as_millis())
            .execute(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(Claim::New)
    }

    /// Gives the work of an open key another subject: the first one was never made.
    /// Whether `old` was still its subject.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn idempotency_renew(
        &self,
        org: OrgId,
        key: &str,
        old: &str,
        new: &str,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE idempotency SET subject = $4 \
             WHERE org_id = $1 AND key = $2 AND subject = $3 AND status IS NULL",
        );
        let query = query.bind(org.to_string()).bind(key).bind(old).bind(new);
        Ok(query.execute(&self.writer).await?.rows_affected() > 0)
    }

    /// Keeps the answer of finished work.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn idempotency_finish(
        &self,
        org: OrgId,
        key: &str,
        status: u16,
        answer_sealed: &[u8],
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE idempotency SET status = $3, answer_sealed = $4 WHERE org_id = $1 AND key = $2",
        );
        let query =
            query.bind(org.to_string()).bind(key).bind(i64::from(status)).bind(answer_sealed);
        query.execute(&self.writer).await?;
        Ok(())
    }

    /// Frees a key whose work made nothing.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn idempotency_release(&self, org: OrgId, key: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.idempotency_delete(org, key).await?;
        tx.commit().await
    }

    /// Forgets keys that came before `before`; how many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn idempotency_prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM idempotency WHERE created_ms < $1");
        Ok(query.bind(before.as_millis()).execute(&self.writer).await?.rows_affected())
    }
}

impl Tx {
    async fn idempotency_get(
        &mut self,
        org: OrgId,
        key: &str,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        let query = sqlx::query(
            "SELECT org_id, key, fingerprint, subject, status, answer_sealed, created_ms \
             FROM idempotency WHERE org_id = $1 AND key = $2",
        );
        let row = query.bind(org.to_string()).bind(key).fetch_optional(self.connection()).await?;
        row.as_ref().map(read).transpose()
    }

    async fn idempotency_delete(&mut self, org: OrgId, key: &str) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM idempotency WHERE org_id = $1 AND key = $2");
        query.bind(org.to_string()).bind(key).execute(self.connection()).await?;
        Ok(())
    }
}
