//! Webhook deliveries: what was decided about each, and why. A delivery that
//! comes again finds its decision.

use std::collections::BTreeSet;

use pando_types::page::Cursor;
use pando_types::{AppId, DeliveryId, DeploymentId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::column::{Columns, json};
use crate::{Insert, Store, StoreError, Tx};

macro_rules! columns {
    () => {
        "id, event, repository, decision, reason, deployments_json, verdicts_json, \
         delivery.received_ms"
    };
}

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The forge's own id of it.
    pub id: String,
    /// The event's name.
    pub event: String,
    /// The repository, as the forge spells it; `None` where it names none.
    pub repository: Option<String>,
    /// `deploy`, `remove` or `ignore`.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// The deployments it led to.
    pub deployments: Vec<DeploymentId>,
    /// The same for each app of the repository, where it came to that.
    pub verdicts: Vec<VerdictRow>,
    /// When it came.
    pub received: Timestamp,
}

/// What was decided about one app and its previews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictRow {
    /// The app.
    pub app: AppId,
    /// `deploy`, `remove` or `ignore`.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// The deployments it led to.
    pub deployments: Vec<DeploymentId>,
}

fn read(row: &SqliteRow) -> Result<DeliveryRow, StoreError> {
    let columns = Columns(row);
    Ok(DeliveryRow {
        id: columns.get("id")?,
        event: columns.get("event")?,
        repository: columns.get("repository")?,
        decision: columns.get("decision")?,
        reason: columns.get("reason")?,
        deployments: columns.json("deployments_json")?,
        verdicts: columns.json("verdicts_json")?,
        received: columns.time("received_ms")?,
    })
}

impl Store {
    /// The deliveries about a repository, newest first, each with its place in the list: at most
    /// `limit` before `before`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn delivery_list(
        &self,
        repo_key: &str,
        before: Option<Cursor<DeliveryId>>,
        limit: u32,
    ) -> Result<Vec<(DeliveryId, DeliveryRow)>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(concat!(
            "SELECT ",
            columns!(),
            ", place FROM delivery_repo JOIN delivery ON delivery.id = delivery_id \
             WHERE repo_key = "
        ));
        query.push_bind(repo_key);
        if let Some(before) = before {
            query.push(" AND (delivery_repo.received_ms, place) < (");
            query.push_bind(before.created.as_millis()).push(", ");
            query.push_bind(before.id.to_string()).push(")");
        }
        query.push(" ORDER BY delivery_repo.received_ms DESC, place DESC LIMIT ");
        query.push_bind(i64::from(limit));
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(|row| Ok((Columns(row).id("place")?, read(row)?))).collect()
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

    /// Keeps a decision, and that it is about these repositories; [`Insert::Exists`] when this
    /// delivery has one.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn delivery_insert(
        &mut self,
        delivery: &DeliveryRow,
        repo_keys: &BTreeSet<String>,
    ) -> Result<Insert, StoreError> {
        let query = sqlx::query(
            "INSERT INTO delivery (id, event, repository, decision, reason, deployments_json, \
             verdicts_json, received_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (id) DO NOTHING",
        );
        let result = query
            .bind(&delivery.id)
            .bind(&delivery.event)
            .bind(&delivery.repository)
            .bind(&delivery.decision)
            .bind(&delivery.reason)
            .bind(json(&delivery.deployments, "deployments_json")?)
            .bind(json(&delivery.verdicts, "verdicts_json")?)
            .bind(delivery.received.as_millis())
            .execute(self.connection())
            .await?;
        let insert = Insert::of(&result);
        if insert == Insert::Exists {
            return Ok(insert);
        }
        let place = DeliveryId::new().to_string();
        for repo_key in repo_keys {
            let query = sqlx::query(
                "INSERT INTO delivery_repo (delivery_id, repo_key, received_ms, place) \
                 VALUES ($1, $2, $3, $4)",
            );
            query
                .bind(&delivery.id)
                .bind(repo_key)
                .bind(delivery.received.as_millis())
                .bind(&place)
                .execute(self.connection())
                .await?;
        }
        Ok(insert)
    }

    /// Forgets deliveries from before `before`; how many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn delivery_prune(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "DELETE FROM delivery_repo WHERE delivery_id IN \
             (SELECT id FROM delivery WHERE received_ms < $1)",
        );
        query.bind(before.as_millis()).execute(self.connection()).await?;
        let query = sqlx::query("DELETE FROM delivery WHERE received_ms < $1");
        Ok(query.bind(before.as_millis()).execute(self.connection()).await?.rows_affected())
    }
}
