//! Which sandbox answers for a host.

use serde::{Deserialize, Serialize};

use crate::id::{AppId, Generation, SandboxId};

/// Where an app's host leads: an immutable pointer that a flip replaces whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTarget {
    /// The sandbox of the active deployment; `None` before the first one is live.
    pub sandbox: Option<SandboxId>,
    /// The port its app listens on.
    pub port: u16,
}

/// One change of which domain is another name of an app's host. A lower or equal generation than
/// the known one is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainChange {
    /// The domain, in lower case.
    pub name: String,
    /// Grows with each change of this domain.
    pub generation: Generation,
    /// The label of the host that it stands for now; `None` is a tombstone.
    pub label: Option<String>,
}

/// One change of the route table. A lower or equal generation than the known one is ignored,
/// so changes may come twice or out of order. Routes never expire by time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteChange {
    /// The app whose host it is.
    pub app: AppId,
    /// The label before the preview suffix.
    pub label: String,
    /// Grows with each change of this app's route.
    pub generation: Generation,
    /// Where it leads now; `None` is a tombstone.
    pub target: Option<RouteTarget>,
}
