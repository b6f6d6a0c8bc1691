//! `DELETE /v1/repos/{id}/preview-env/{key}`.

use axum::extract::State;
use axum::http::StatusCode;

use super::OfRepo;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::repos::repo_id;

/// Removes a variable of the previews of a repository.
#[utoipa::path(
    delete, path = "/repos/{id}/preview-env/{key}", tag = "previews",
    operation_id = "preview_env_unset", params(OfRepo), responses((status = 204), Refusals)
)]
pub async fn unset(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, key)): UrlPath<(String, String)>,
) -> Result<StatusCode, Refused> {
    api.deploy.preview_env_unset(caller.org, repo_id(&id)?, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
