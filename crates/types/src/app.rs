//! Apps, deployments and previews on the wire: routes under `/v1/apps` and `/v1/webhooks`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{AppId, DeploymentId, SandboxId};

/// `POST /v1/apps`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct CreateApp {
    /// Lower-case letters, digits and dashes, at most 40; unique in the org.
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    pub name: String,
    /// The repository: `https://host/owner/repo` (with or without `.git`), or over ssh
    /// `git@host:owner/repo` or `ssh://git@host/owner/repo`. `http://` only where the operator
    /// allows the host.
    #[schema(
        min_length = 5,
        max_length = 512,
        pattern = r"^((https?://|ssh://([A-Za-z0-9_][A-Za-z0-9._-]{0,63}@)?)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[A-Za-z0-9_~+-][A-Za-z0-9._~+-]*)+|[A-Za-z0-9_][A-Za-z0-9._-]{0,63}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[A-Za-z0-9_~+-][A-Za-z0-9._~+-]*(/[A-Za-z0-9_~+-][A-Za-z0-9._~+-]*)*)/?$"
    )]
    pub git_url: String,
    /// What opens a private repository over https: a token, or `user:token`. Encrypted at rest,
    /// sent to the repository's host alone, never returned.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[\x21-\x7E]+$")]
    pub git_token: Option<String>,
    /// The branch whose pushes are deployed; default `main`.
    #[serde(default)]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?![-/.]|@$)(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)))[^\x00-\x20\x7F~^:?*\[\\]*[^\x00-\x20\x7F~^:?*\[\\./]$"
    )]
    pub git_branch: Option<String>,
    /// The template its sandboxes are restored from; default `base`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9][a-z0-9.-]*$")]
    pub template: Option<String>,
    /// Whether a push to the branch deploys it; default true.
    #[serde(default)]
    pub auto_deploy: Option<bool>,
    /// Whether a pull request gets a preview; default true.
    #[serde(default)]
    pub previews: Option<bool>,
    /// Skips detection of the framework: see `docs/detection.md` for what each stands for.
    #[serde(default)]
    #[schema(
        pattern = "^(nextjs|nuxt|remix|react_router|sveltekit|astro|vite|cra|angular|express|nest|node|bun|deno|static|django|flask|fastapi|python|rails|ruby|laravel|php|phoenix|elixir|go|rust|java|procfile|dockerfile)$"
    )]
    pub framework: Option<String>,
    /// Replaces the detected install command; empty means none.
    #[serde(default)]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$")]
    pub install_command: Option<String>,
    /// Replaces the detected build command; empty means none.
    #[serde(default)]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$")]
    pub build_command: Option<String>,
    /// Replaces the detected start command.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 4096, pattern = r"^[^\x00]*[^\x00\s][^\x00]*$")]
    pub start_command: Option<String>,
    /// The folder of the repository that holds the app; default its root.
    #[serde(default)]
    #[schema(
        max_length = 512,
        pattern = r"^(\.?|\./+|(\./)?(?!(\.|\.\.|\.git)(/|$))[^\x00-\x1F\x7F\\/]+(/(?!(\.|\.\.|\.git)(/|$))[^\x00-\x1F\x7F\\/]+)*/*)$"
    )]
    pub root_directory: Option<String>,
    /// The port the app listens on, also in its environment as `PORT`; default 3000.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 1, maximum = 65535)]
    pub port: Option<i64>,
    /// Environment of the app's own deployments. Encrypted at rest; previews do not get it.
    #[serde(default)]
    #[schema(schema_with = crate::schema::app_environment)]
    pub env: Option<BTreeMap<String, String>>,
    /// Environment of previews, whose code may come from a stranger. Encrypted at rest.
    #[serde(default)]
    #[schema(schema_with = crate::schema::preview_environment)]
    pub preview_env: Option<BTreeMap<String, String>>,
    /// vCPUs; default 2.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 1, maximum = 8)]
    pub cpu: Option<i64>,
    /// Memory in MiB; default 2048.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 512, maximum = 16384, multiple_of = 256)]
    pub memory_mb: Option<i64>,
}

/// `PATCH /v1/apps/{id}`. What is absent stays as it is; null is as if it had never been set.
/// It holds from the next deployment on, also of its previews.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct UpdateApp {
    /// What opens a private repository over https: a token, or `user:token`; null takes it away.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[\x21-\x7E]+$")]
    pub git_token: Option<Option<String>>,
    /// The branch whose pushes are deployed.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?![-/.]|@$)(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)))[^\x00-\x20\x7F~^:?*\[\\]*[^\x00-\x20\x7F~^:?*\[\\./]$"
    )]
    pub git_branch: Option<Option<String>>,
    /// The template its sandboxes are restored from.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9][a-z0-9.-]*$")]
    pub template: Option<Option<String>>,
    /// Whether a push to the branch deploys it.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub auto_deploy: Option<Option<bool>>,
    /// Whether a pull request gets a preview.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub previews: Option<Option<bool>>,
    /// Skips detection of the framework: see `docs/detection.md` for what each stands for.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(
        pattern = "^(nextjs|nuxt|remix|react_router|sveltekit|astro|vite|cra|angular|express|nest|node|bun|deno|static|django|flask|fastapi|python|rails|ruby|laravel|php|phoenix|elixir|go|rust|java|procfile|dockerfile)$"
    )]
    pub framework: Option<Option<String>>,
    /// Replaces the detected install command; empty means none.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$")]
    pub install_command: Option<Option<String>>,
    /// Replaces the detected build command; empty means none.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$")]
    pub build_command: Option<Option<String>>,
    /// Replaces the detected start command.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(min_length = 1, max_length = 4096, pattern = r"^[^\x00]*[^\x00\s][^\x00]*$")]
    pub start_command: Option<Option<String>>,
    /// The folder of the repository that holds the app.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(
        max_length = 512,
        pattern = r"^(\.?|\./+|(\./)?(?!(\.|\.\.|\.git)(/|$))[^\x00-\x1F\x7F\\/]+(/(?!(\.|\.\.|\.git)(/|$))[^\x00-\x1F\x7F\\/]+)*/*)$"
    )]
    pub root_directory: Option<Option<String>>,
    /// The port the app listens on.
    #[serde(
        default,
        deserialize_with = "crate::present::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(minimum = 1, maximum = 65535)]
    pub port: Option<Option<i64>>,
    /// Environment of the app's own deployments, instead of what it had.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(schema_with = crate::schema::app_environment)]
    pub env: Option<Option<BTreeMap<String, String>>>,
    /// Environment of previews, instead of what they had.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(schema_with = crate::schema::preview_environment)]
    pub preview_env: Option<Option<BTreeMap<String, String>>>,
    /// vCPUs.
    #[serde(
        default,
        deserialize_with = "crate::present::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(minimum = 1, maximum = 8)]
    pub cpu: Option<Option<i64>>,
    /// Memory in MiB.
    #[serde(
        default,
        deserialize_with = "crate::present::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(minimum = 512, maximum = 16384, multiple_of = 256)]
    pub memory_mb: Option<Option<i64>>,
}

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
pub struct CreateDeployment {
    /// A branch or a 40-digit commit; default the head of the app's branch.
    #[serde(default)]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?![-/.]|@$)(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)))[^\x00-\x20\x7F~^:?*\[\\]*[^\x00-\x20\x7F~^:?*\[\\./]$"
    )]
    pub git_ref: Option<String>,
    /// Whether it is installed and built anew, whatever an earlier deployment left; default
    /// false.
    #[serde(default)]
    pub fresh: Option<bool>,
}

/// `POST /v1/apps/{id}/rollback`; the body may be absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Rollback {
    /// A deployment that was live; default the one before that which is.
    #[serde(default)]
    pub deployment_id: Option<DeploymentId>,
}

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
