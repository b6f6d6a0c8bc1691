//! Templates of an org on the wire: how they are built, and what runs in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::TemplateBuildId;

/// `POST /v1/templates/build`, as a form. One of `dockerfile`, `template_toml`, `image_ref`
/// and the file `rootfs` says what it is made of. As `multipart/form-data`, every other
/// part that has a filename is a file of the build's context, named by its path in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildTemplate {
    /// Lower-case letters, digits and dashes, at most 63. One that is there already is
    /// replaced once the build is done.
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z0-9][a-z0-9-]*$")]
    pub name: String,
    /// The Dockerfile's text.
    #[serde(default)]
    #[schema(max_length = 262144)]
    pub dockerfile: Option<String>,
    /// A list of steps instead: the text of a `template.toml`.
    #[serde(default)]
    #[schema(max_length = 262144)]
    pub template_toml: Option<String>,
    /// An image of a registry instead.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 512)]
    pub image_ref: Option<String>,
    /// The size of the root disk in MiB; default 1024. It takes only what is written.
    #[serde(default)]
    #[schema(minimum = 16, maximum = 32768)]
    pub size_mb: Option<i64>,
    /// vCPUs of its sandboxes; default 2.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 8)]
    pub cpu: Option<i64>,
    /// Memory of its sandboxes in MiB; default 2048.
    #[serde(default)]
    #[schema(minimum = 512, maximum = 16384, multiple_of = 256)]
    pub memory_mb: Option<i64>,
    /// Whether a template of that name may be replaced; default true.
    #[serde(default)]
    pub replace: Option<bool>,
}

/// Where a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemplateBuildStatus {
    /// It waits for others.
    Queued,
    /// It is under way.
    Running,
    /// The template is there.
    Done,
    /// There is none of it; what was there before stays.
    Failed,
}

impl TemplateBuildStatus {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// One attempt to make a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TemplateBuild {
    /// Its id.
    pub id: TemplateBuildId,
    /// The template's name.
    pub name: String,
    /// Where it is.
    pub status: TemplateBuildStatus,
    /// Why it failed: the cause and, where one is known, the line of the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for: RFC 3339, UTC.
    pub created_at: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The size of the root disk in MiB.
    pub size_mb: u32,
    /// What the template's files hold, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The image it is made of, where it is one of a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
}

/// What runs in a template, as its image's configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TemplateConfig {
    /// The command that runs when a sandbox is made of it; none if that is empty.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its environment, which is that of every command in the sandbox.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The folder that it runs in.
    #[serde(default)]
    pub cwd: Option<String>,
    /// The user, and group, that it runs as.
    #[serde(default)]
    pub user: Option<String>,
    /// The TCP ports that it listens on.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// The command that succeeds once it is ready: else one of the ports is waited for.
    #[serde(default)]
    pub ready: Vec<String>,
}
