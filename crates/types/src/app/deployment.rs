//! Deployments of apps, and what is asked for one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{AppId, DeploymentId, SandboxId};

/// The states of a deployment. It moves forward only; the last four are ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    /// Waits for a worker.
    Queued,
    /// The exact commit comes into the host's mirror and into a fresh sandbox.
    Fetching,
    /// What kind of app it is, and why.
    Detecting,
    /// Dependencies.
    Installing,
    /// The build command.
    Building,
    /// What must be done before the new version starts: the `release` line of a Procfile.
    Releasing,
    /// The start command runs.
    Starting,
    /// Waits until the app answers.
    Checking,
    /// It serves, or served until another went live.
    Live,
    /// It could not; `error` says why. What was live before stays live.
    Failed,
    /// Its app was deleted, or its pull request closed.
    Cancelled,
    /// A newer commit took its place.
    Superseded,
}

impl DeploymentStatus {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Live | Self::Failed | Self::Cancelled | Self::Superseded)
    }
}

/// One attempt to make one commit live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// The app.
    pub app_id: AppId,
    /// Where it is.
    pub status: DeploymentStatus,
    /// The commit, 40 hex digits (empty until the branch is resolved).
    pub git_commit: String,
    /// The branch or pull-request ref.
    pub git_ref: String,
    /// Why it was made: `push`, `pull_request`, `create`, `api`, `rollback`, `restart`, or
    /// `revival` of one whose machine died.
    pub reason: String,
    /// The deployment that it brought back, or started anew; null where it was built.
    pub origin_id: Option<DeploymentId>,
    /// The sandbox it builds or serves in.
    pub sandbox_id: Option<SandboxId>,
    /// Why it failed.
    pub error: Option<String>,
    /// Milliseconds spent in each state it has been through, in order.
    pub phases: Vec<Phase>,
    /// The log so far; only in the answer for one deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_logs: Option<String>,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub finished_at: Option<String>,
}

/// How long a deployment was in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Phase {
    /// The state.
    pub status: DeploymentStatus,
    /// Milliseconds in it.
    pub duration_ms: u64,
}

/// `POST /v1/apps/{id}/deploys`; the body may be absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDeployment {
    /// A branch or a tag, by its short name, or a 40-digit commit; default the head of the app's
    /// branch.
    #[serde(default)]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?![-/.]|@$|refs/)(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)))[^\x00-\x20\x7F~^:?*\[\\]*[^\x00-\x20\x7F~^:?*\[\\./]$"
    )]
    pub git_ref: Option<String>,
    /// Whether it is installed and built anew, whatever an earlier deployment left; default
    /// false.
    #[serde(default)]
    pub fresh: Option<bool>,
}

/// `POST /v1/apps/{id}/rollback`; the body may be absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// A deployment that was live; default the one before that which is.
    #[serde(default)]
    pub deployment_id: Option<DeploymentId>,
}
