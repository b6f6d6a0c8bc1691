//! Repositories on the wire: routes under `/v1/preview-repos` and `/v1/repos`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema::value::{EnvText, EnvValue, RepositoryName};

/// `POST /v1/preview-repos`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EnablePreviewRepo {
    /// The forge's number of the repository.
    #[serde(deserialize_with = "crate::number::required_whole")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    pub github_repo_id: i64,
    /// `owner/repo`: needed only before the first webhook about it has told its number.
    #[serde(default)]
    #[schema(value_type = Option<RepositoryName>)]
    pub repo_full_name: Option<String>,
}

/// A repository of the org's apps, and whether its pull requests get previews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewRepo {
    /// The forge's number of it.
    pub github_repo_id: u64,
    /// `owner/repo`, as the forge spells it.
    pub repo_full_name: String,
    /// Whether any of its apps has previews.
    pub enabled: bool,
}

/// `GET /v1/preview-repos`: those whose number is known, by name, the first thousand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewRepoList {
    /// The repositories.
    pub repos: Vec<PreviewRepo>,
}

/// `PUT /v1/repos/{id}/preview-env/{key}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SetPreviewEnv {
    /// Its value, given to the previews byte for byte: nothing in it is expanded.
    #[schema(value_type = EnvValue)]
    pub value: String,
    /// Whether the value is never returned; default false.
    #[serde(default)]
    pub secret: bool,
}

/// `POST /v1/repos/{id}/preview-env/import`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportPreviewEnv {
    /// The text of a `.env` file: `docs/apps.md` says how it is read.
    #[schema(value_type = EnvText)]
    pub dotenv: String,
    /// Whether the values are never returned; default false.
    #[serde(default)]
    pub secret: bool,
}
