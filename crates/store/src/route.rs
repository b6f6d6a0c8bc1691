//! Routes: which sandbox answers for each host label. Changed only together with
//! the app they belong to.

use pando_types::route::{RouteChange, RouteTarget};
use pando_types::{AppId, Generation, SandboxId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::{Store, StoreError, Tx};

fn read(row: &SqliteRow) -> Result<RouteChange, StoreError> {
    let columns = Columns(row);
    let target = RouteTarget {
        sandbox: columns.maybe_id::<SandboxId>("sandbox_id")?,
        port: columns.number("port")?,
    };
    let is_live: bool = columns.get("is_live")?;
    Ok(RouteChange {
        app: columns.id("app_id")?,
        label: columns.get("label")?,
        generation: Generation::from_row(columns.get("generation")?),
        target: is_live.then_some(target),
    })
}

impl Store {
    /// Every host that leads somewhere, by label: at most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn route_list(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RouteChange>, StoreError> {
        let query = sqlx::query(
            "SELECT label, app_id, generation, is_live, sandbox_id, port FROM route \
             WHERE label > $1 AND is_live = TRUE ORDER BY label LIMIT $2",
        );
        let rows = query
            .bind(after.unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(read).collect()
    }
}

impl Tx {
    /// Points a label somewhere new; `None` is a tombstone. Its generation grows each time.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn route_put(
        &mut self,
        app: AppId,
        label: &str,
        target: Option<RouteTarget>,
    ) -> Result<RouteChange, StoreError> {
        let query = sqlx::query(
            "INSERT INTO route (label, app_id, generation, is_live, sandbox_id, port) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (label) DO UPDATE SET app_id = excluded.app_id, \
             generation = route.generation + 1, is_live = excluded.is_live, \
             sandbox_id = excluded.sandbox_id, port = excluded.port RETURNING generation",
        );
        let sandbox = target.as_ref().and_then(|target| target.sandbox);
        let row = query
            .bind(label)
            .bind(app.to_string())
            .bind(Generation::first().next().to_row())
            .bind(target.is_some())
            .bind(sandbox.map(|id| id.to_string()))
            .bind(target.as_ref().map_or(0, |target| i64::from(target.port)))
            .fetch_one(self.connection())
            .await?;
        let generation = Generation::from_row(row.try_get(0)?);
        Ok(RouteChange { app, label: label.to_owned(), generation, target })
    }
}
