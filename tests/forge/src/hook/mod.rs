//! Webhooks: what is sent, where to, and how it is signed.

mod deliver;
mod event;
mod sign;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use deliver::{client, redeliver};
pub(crate) use event::{PullAction, pull_request, push};
pub use sign::sign;

/// Where webhooks go.
#[derive(Clone)]
pub struct Webhook {
    /// The address that takes them.
    pub url: String,
    /// What both sides sign with.
    pub secret: String,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("url", &self.url).finish_non_exhaustive()
    }
}

/// One webhook that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id, the same when it is sent again.
    pub id: Uuid,
    /// `push` or `pull_request`.
    pub event: String,
    /// `opened`, `synchronize`, `closed` or `reopened`, for a pull request.
    pub action: Option<String>,
    /// The bytes that were signed.
    pub body: String,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The other side answered.
    Answered {
        /// With this status.
        status: u16,
        /// And this body (its first 64 KiB).
        body: String,
    },
    /// It could not be reached, or took longer than GitHub waits.
    Failed {
        /// Why.
        reason: String,
    },
}
