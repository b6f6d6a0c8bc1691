//! `DELETE /v1/preview-repos/{id}`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::repos::{RepoId, repo_id};

/// Switches previews off for the org's apps of a repository. Those that are there stay, and go when
/// their pull requests close.
#[utoipa::path(
    delete, path = "/preview-repos/{id}", tag = "previews", operation_id = "preview_repo_disable",
    params(RepoId), responses((status = 204), Refusals)
)]
pub async fn disable(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<StatusCode, Refused> {
    api.deploy.preview_repo_disable(caller.org, repo_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
