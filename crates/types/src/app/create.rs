//! Making an app.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/apps`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
    /// The branch whose pushes are deployed, by its short name; default `main`.
    #[serde(default)]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?![-/.]|@$|refs/)(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)))[^\x00-\x20\x7F~^:?*\[\\]*[^\x00-\x20\x7F~^:?*\[\\./]$"
    )]
    pub git_branch: Option<String>,
    /// The template its sandboxes are restored from, which may be the org's own; default `base`.
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
