//! Jobs into rows, in the transaction that makes them necessary.

use pando_store::{JobWish, StoreError, Tx};
use pando_types::{AppId, DeploymentId, DomainId, Timestamp};
use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// What a job of each kind must know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub app: AppId,
    /// Absent for jobs about an app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    /// Of jobs about a domain alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainId>,
}

/// Wants a job about a deployment done.
pub(crate) async fn put_deployment(
    tx: &mut Tx,
    kind: Kind,
    app: AppId,
    deployment: DeploymentId,
    run_at: Timestamp,
) -> Result<(), StoreError> {
    let payload = Payload { app, deployment: Some(deployment), domain: None };
    put(tx, kind, &deployment.to_string(), payload, run_at).await
}

/// Wants a job about an app done, at once.
pub(crate) async fn put_app(tx: &mut Tx, kind: Kind, app: AppId) -> Result<(), StoreError> {
    let now = tx.now();
    put(tx, kind, &app.to_string(), Payload { app, deployment: None, domain: None }, now).await
}

/// Wants a claim to a domain looked up.
pub(crate) async fn put_domain(
    tx: &mut Tx,
    app: AppId,
    domain: DomainId,
    run_at: Timestamp,
) -> Result<(), StoreError> {
    let payload = Payload { app, deployment: None, domain: Some(domain) };
    put(tx, Kind::Domain, &domain.to_string(), payload, run_at).await
}

async fn put(
    tx: &mut Tx,
    kind: Kind,
    key: &str,
    payload: Payload,
    run_at: Timestamp,
) -> Result<(), StoreError> {
    // Ids alone: it has a JSON form.
    let payload = serde_json::to_string(&payload).unwrap_or_default();
    tx.job_put(&JobWish { kind: kind.as_str(), key, payload: &payload, run_at }).await
}
