//! Small shapes that belong to no noun.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ApiKeyId, OrgId};

/// `GET /v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The key that asked.
    pub id: ApiKeyId,
    /// Its label.
    pub label: String,
    /// Whose it is.
    pub org_id: OrgId,
    /// The org's name.
    pub org: String,
}

/// A list, as every list route returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
}

/// `GET /healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok` once creates are possible.
    pub status: String,
    /// The version of this server.
    pub version: String,
    /// `kvm` or `tcg`.
    pub accelerator: String,
}
