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

/// An API key as a list shows it: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: ApiKeyId,
    /// Its first characters, by which it is told from others and deleted.
    pub prefix: String,
    /// What it is for.
    pub label: String,
    /// When it was made: RFC 3339, UTC.
    pub created_at: String,
    /// When it stops working: RFC 3339, UTC; null means never.
    pub expires_at: Option<String>,
    /// When it was last used, within some minutes: RFC 3339, UTC; null means never.
    pub last_used_at: Option<String>,
}

/// `POST /v1/me/tokens`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct CreateToken {
    /// What it is for: 1 to 100 characters on one line.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1F\x7F-\x9F]+$")]
    pub label: String,
    /// Days until it stops working, 1 to 3650. Absent: never.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<i64>,
}

/// What `POST /v1/me/tokens` answers: the only time that the key is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The key.
    pub token: String,
    /// What lists show of it from now on.
    #[serde(flatten)]
    pub shown: Token,
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
