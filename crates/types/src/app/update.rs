//! Changing an app.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `PATCH /v1/apps/{id}`. What is absent stays as it is; null is as if it had never been set.
/// It holds from the next deployment on, also of its previews.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateApp {
    /// What opens a private repository over https: a token, or `user:token`; null takes it away.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[\x21-\x7E]+$")]
    pub git_token: Option<Option<String>>,
    /// The branch whose pushes are deployed, by its short name.
    #[serde(
        default,
        deserialize_with = "crate::present::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?![-/.]|@$|refs/)(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)))[^\x00-\x20\x7F~^:?*\[\\]*[^\x00-\x20\x7F~^:?*\[\\./]$"
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
