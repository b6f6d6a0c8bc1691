//! Apps, deployments and previews on the wire: routes under `/v1/apps` and `/v1/webhooks`.

mod create;
mod delivery;
mod deployment;
mod update;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::create::CreateApp;
pub use self::delivery::{AppDelivery, Delivery};
pub use self::deployment::{CreateDeployment, Deployment, DeploymentStatus, Phase, Rollback};
pub use self::update::UpdateApp;
use crate::id::{AppId, DeploymentId, SandboxId};

/// What a user sees of an app's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    /// No deployment yet.
    Created,
    /// The first deployment is under way; nothing is served yet.
    Building,
    /// A deployment is live (another may be under way).
    Running,
    /// No deployment is live and the last one failed.
    Error,
}

/// An app or a preview as every route returns it. Its environment has routes of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its name.
    pub name: String,
    /// The repository.
    pub git_url: String,
    /// Whether a token for its repository is kept. It is never returned.
    #[serde(default)]
    pub has_git_token: bool,
    /// Whether a deploy key for its repository is kept.
    #[serde(default)]
    pub has_deploy_key: bool,
    /// The branch, or the pull request's head branch.
    pub git_branch: String,
    /// The template.
    pub template: String,
    /// Whether pushes deploy.
    pub auto_deploy: bool,
    /// What the user set; null where detection decides.
    pub framework: Option<String>,
    /// What the user set; null where detection decides.
    pub install_command: Option<String>,
    /// What the user set; null where detection decides.
    pub build_command: Option<String>,
    /// What the user set; null where detection decides.
    pub start_command: Option<String>,
    /// The folder of the repository that holds the app.
    pub root_directory: String,
    /// The port.
    pub port: u16,
    /// vCPUs.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// What it does now.
    pub status: AppStatus,
    /// Where it is served, for its whole life.
    pub url: String,
    /// The sandbox that serves it now.
    pub sandbox_id: Option<SandboxId>,
    /// The deployment that is live now.
    pub active_deployment_id: Option<DeploymentId>,
    /// Whether it belongs to a pull request.
    pub is_preview: bool,
    /// The pull request's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_number: Option<u64>,
    /// `open`, for a preview; `closing` while all of it is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_state: Option<String>,
    /// `owner/repo`, for a preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_full_name: Option<String>,
    /// The same as `url`, for a preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_url: Option<String>,
    /// The app that a preview belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_app_id: Option<AppId>,
    /// When it was created: RFC 3339, UTC.
    pub created_at: String,
    /// When it last changed: RFC 3339, UTC.
    pub updated_at: String,
}

/// A key with which an app's repository is read over ssh. Its private half never leaves the
/// server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeployKey {
    /// The public half, as OpenSSH writes it: what the repository's settings take as a deploy key.
    pub public_key: String,
}
