//! `GET /v1/repos/{id}/preview-env`.

use axum::Json;
use axum::extract::State;
use pando_types::env::EnvList;

use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::repos::{RepoId, repo_id};

/// What the previews of a repository are given, by name, all on one page. Values of secrets are
/// masked.
///
/// A name stands there once for each value that one of the org's apps of the repository has.
#[utoipa::path(
    get, path = "/repos/{id}/preview-env", tag = "previews", operation_id = "preview_env_list",
    params(RepoId), responses((status = 200, body = EnvList), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<EnvList>, Refused> {
    Ok(Json(api.deploy.preview_env_list(caller.org, repo_id(&id)?).await?))
}
