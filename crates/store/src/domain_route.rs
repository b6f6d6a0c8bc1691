//! Which domains are other names of apps' hosts. Changed only together with the claims to them.

use pando_types::Generation;
use pando_types::route::DomainChange;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::{Store, StoreError, Tx};

fn read(row: &SqliteRow) -> Result<DomainChange, StoreError> {
    let columns = Columns(row);
    Ok(DomainChange {
        name: columns.get("name")?,
        generation: Generation::from_row(columns.get("generation")?),
        label: columns.get("label")?,
    })
}

impl Store {
    /// Every domain that stands for a host, by name: at most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_route_list(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DomainChange>, StoreError> {
        let query = sqlx::query(
            "SELECT name, label, generation FROM domain_route \
             WHERE name > $1 AND label IS NOT NULL ORDER BY name LIMIT $2",
        );
        let query = query.bind(after.unwrap_or_default()).bind(i64::from(limit));
        query.fetch_all(&self.reader).await?.iter().map(read).collect()
    }
}

impl Tx {
    /// Makes a domain stand for the host with this label; `None` is a tombstone. Its generation
    /// grows each time.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_route_put(
        &mut self,
        name: &str,
        label: Option<&str>,
    ) -> Result<DomainChange, StoreError> {
        let query = sqlx::query(
            "INSERT INTO domain_route (name, label, generation) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET label = excluded.label, \
             generation = domain_route.generation + 1 RETURNING generation",
        );
        let row = query
            .bind(name)
            .bind(label)
            .bind(Generation::first().next().to_row())
            .fetch_one(self.connection())
            .await?;
        let generation = Generation::from_row(row.try_get(0)?);
        Ok(DomainChange { name: name.to_owned(), generation, label: label.map(str::to_owned) })
    }
}
