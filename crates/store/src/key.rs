//! API keys. The key itself is never stored: only its hash, and the first
//! characters, by which a person tells keys apart.

use pando_types::{ApiKeyId, OrgId, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::{Insert, Store, StoreError};

macro_rules! columns {
    () => {
        "id, org_id, label, prefix, hash, created_ms"
    };
}

/// The most keys that one list returns.
const MAX_LISTED: i64 = 1000;

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
            ") VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
        ));
        let result = query
            .bind(key.id.to_string())
            .bind(key.org.to_string())
            .bind(&key.label)
            .bind(&key.prefix)
            .bind(key.hash.as_slice())
            .bind(key.created.as_millis())
            .execute(&self.writer)
            .await?;
        Ok(Insert::of(&result))
    }

    /// The key with this hash.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM api_key WHERE hash = $1"));
        let row = query.bind(hash.as_slice()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An org's keys, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_list(&self, org: OrgId) -> Result<Vec<KeyRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM api_key WHERE org_id = $1 ORDER BY created_ms, id LIMIT $2"
        ));
        let rows = query.bind(org.to_string()).bind(MAX_LISTED).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
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

    /// How many keys there are in all.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn key_count(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) FROM api_key").fetch_one(&self.reader).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }
}
