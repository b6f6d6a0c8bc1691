//! Orgs: who owns everything else. There is one, `default`, from the first start.

use pando_types::{OrgId, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::{Store, StoreError, Tx};

pub(crate) const DEFAULT: &str = "default";

/// One org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgRow {
    /// Its id.
    pub id: OrgId,
    /// Its name, unique.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}

fn read(row: &SqliteRow) -> Result<OrgRow, StoreError> {
    let columns = Columns(row);
    Ok(OrgRow {
        id: columns.id("id")?,
        name: columns.get("name")?,
        created: columns.time("created_ms")?,
    })
}

impl Store {
    /// The org that every key and app belongs to until there are more.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn org_default(&self) -> Result<OrgRow, StoreError> {
        let query = sqlx::query("SELECT id, name, created_ms FROM org WHERE name = $1");
        read(&query.bind(DEFAULT).fetch_one(&self.reader).await?)
    }

    /// One org.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn org_get(&self, id: OrgId) -> Result<Option<OrgRow>, StoreError> {
        let query = sqlx::query("SELECT id, name, created_ms FROM org WHERE id = $1");
        query
            .bind(id.to_string())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }
}

impl Tx {
    pub(crate) async fn org_ensure(&mut self, id: OrgId, name: &str) -> Result<(), StoreError> {
        let now = self.now.as_millis();
        sqlx::query("INSERT INTO org (id, name, created_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
            .bind(id.to_string())
            .bind(name)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
