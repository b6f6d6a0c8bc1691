//! Webhook deliveries: what was decided about each, and why. A delivery that
//! comes again finds its decision.

use pando_types::{DeploymentId, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, json};
use crate::{Insert, Store, StoreError, Tx};

macro_rules! columns {
    () => {
        "id, event, decision, reason, deployments_json, received_ms"
    };
}

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The forge's own id of it.
    pub id: String,
    /// The event's name.
    pub event: String,
    /// `deploy`, `remove` or `ignore`.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// The deployments it led to.
    pub deployments: Vec<DeploymentId>,
    /// When it came.
    pub received: Timestamp,
}

fn read(row: &SqliteRow) -> Result<DeliveryRow, StoreError> {
    let columns = Columns(row);
    Ok(DeliveryRow {
        id: columns.get("id")?,
        event: columns.get("event")?,
        decision: columns.get("decision")?,
        reason: columns.get("reason")?,
        deployments: columns.json("deployments_json")?,
        received: columns.time("received_ms")?,
    })
}

impl Store {
    /// The newest deliveries, at most `limit`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn delivery_list(&self, limit: u32) -> Result<Vec<DeliveryRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM delivery ORDER BY received_ms DESC, id LIMIT $1"
        ));
        let rows = query.bind(i64::from(limit)).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Forgets deliveries from before `before`; how many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn delivery_prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM delivery WHERE received_ms < $1");
        Ok(query.bind(before.as_millis()).execute(&self.writer).await?.rows_affected())
    }
}

impl Tx {
    /// The delivery with this id.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn delivery_get(&mut self, id: &str) -> Result<Option<DeliveryRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM delivery WHERE id = $1"));
        let row = query.bind(id).fetch_optional(self.connection()).await?;
        row.as_ref().map(read).transpose()
    }

    /// Keeps a decision; [`Insert::Exists`] when this delivery has one.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn delivery_insert(&mut self, delivery: &DeliveryRow) -> Result<Insert, StoreError> {
        let query = sqlx::query(concat!(
            "INSERT INTO delivery (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING"
        ));
        let result = query
            .bind(&delivery.id)
            .bind(&delivery.event)
            .bind(&delivery.decision)
            .bind(&delivery.reason)
            .bind(json(&delivery.deployments, "deployments_json")?)
            .bind(delivery.received.as_millis())
            .execute(self.connection())
            .await?;
        Ok(Insert::of(&result))
    }
}
