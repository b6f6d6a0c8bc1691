//! What webhooks said, and what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::DeploymentId;

/// What became of a webhook delivery: always a decision and its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Always true: the delivery was understood.
    pub ok: bool,
    /// `deploy`, `remove` or `ignore`.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// The deployments it led to.
    pub deployments: Vec<DeploymentId>,
}

/// A webhook's delivery about the repository of an app, and what became of it for the app and its
/// previews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppDelivery {
    /// The forge's own id of it (`X-GitHub-Delivery`).
    pub id: String,
    /// What happened: `push`, `pull_request`, `ping` ...
    pub event: String,
    /// The repository, as the forge spells it.
    pub repository: Option<String>,
    /// `deploy`, `remove` or `ignore`.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// The deployments it led to.
    pub deployments: Vec<DeploymentId>,
    /// When it came: RFC 3339, UTC.
    pub received_at: String,
}
