//! API keys. The key itself is never stored: only its hash, and the first
//! characters, by which a person tells keys apart.

use pando_types::page::Cursor;
use pando_types::{ApiKeyId, OrgId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::column::Columns;
use crate::{Insert, Store, StoreError, page};

macro_rules! columns {
    () => {
        "id, org_id, label, prefix, hash, created_ms, expires_ms, last_used_ms"
    };
}

/// One API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub org: OrgId,
    /// What it is for.
    pub label: String,
    /// Its first characters.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// When it stops working.
    pub expires: Option<Timestamp>,
    /// When it was last used, roughly.
    pub last_used: Option<Timestamp>,
}

/// A key, and how fast it may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key: KeyRow,
    /// Its org's limit, where it is not the server's default.
    pub requests_per_second: Option<u32>,
}

fn read(row: &SqliteRow) -> Result<KeyRow, StoreError> {
    let columns = Columns(row);
    let hash: &[u8] = columns.get("hash")?;
    Ok(KeyRow {
        id: columns.id("id")?,
        org: columns.id("org_id")?,
        label: columns.get("label")?,
        prefix: columns.get("prefix")?,
        hash: hash.try_into().map_err(|_| StoreError::Column { column: "hash" })?,
        created: columns.time("created_ms")?,
        expires: columns.maybe_time("expires_ms")?,
        last_used: columns.maybe_time("last_used_ms")?,
    })
}

impl Store {
    /// Adds a key; [`Insert::Exists`] when the same key is there.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_insert(&self, key: &KeyRow) -> Result<Insert, StoreError> {
        let query = sqlx::query(concat!(
            "INSERT INTO api_key (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"
        ));
        let result = query
            .bind(key.id.to_string())
            .bind(key.org.to_string())
            .bind(&key.label)
            .bind(&key.prefix)
            .bind(key.hash.as_slice())
            .bind(key.created.as_millis())
            .bind(key.expires.map(Timestamp::as_millis))
            .bind(key.last_used.map(Timestamp::as_millis))
            .execute(&self.writer)
            .await?;
        Ok(Insert::of(&result))
    }

    /// The key with this hash, and how fast it may ask.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyUse>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            ", (SELECT max_requests_per_second FROM org WHERE org.id = org_id) AS rate \
             FROM api_key WHERE hash = $1"
        ));
        let row = query.bind(hash.as_slice()).fetch_optional(&self.reader).await?;
        let Some(row) = row else { return Ok(None) };
        let requests_per_second = Columns(&row).maybe_number("rate")?;
        Ok(Some(KeyUse { key: read(&row)?, requests_per_second }))
    }

    /// An org's keys, oldest first: at most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_list(
        &self,
        org: OrgId,
        after: Option<Cursor<ApiKeyId>>,
        limit: u32,
    ) -> Result<Vec<KeyRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(concat!(
            "SELECT ",
            columns!(),
            " FROM api_key WHERE org_id = "
        ));
        query.push_bind(org.to_string());
        page::push(&mut query, after, limit);
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// The org's keys that begin with `prefix` as lists show it; two are enough to
    /// know that it names no single one.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_by_prefix(&self, org: OrgId, prefix: &str) -> Result<Vec<KeyRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM api_key WHERE org_id = $1 AND prefix = $2 ORDER BY created_ms, id LIMIT 2"
        ));
        let rows = query.bind(org.to_string()).bind(prefix).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Notes that a key was used.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_note_use(&self, id: ApiKeyId) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE api_key SET last_used_ms = $2 WHERE id = $1");
        let query = query.bind(id.to_string()).bind(self.now().as_millis());
        query.execute(&self.writer).await?;
        Ok(())
    }

    /// Removes an org's key; whether it was there.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_delete(&self, org: OrgId, id: ApiKeyId) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM api_key WHERE org_id = $1 AND id = $2");
        let result = query.bind(org.to_string()).bind(id.to_string()).execute(&self.writer).await?;
        Ok(result.rows_affected() > 0)
    }

    /// How many keys an org has.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_count(&self, org: OrgId) -> Result<u64, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) FROM api_key WHERE org_id = $1");
        let row = query.bind(org.to_string()).fetch_one(&self.reader).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }
}
