//! `GET /v1/preview-repos`.

use axum::Json;
use axum::extract::State;
use pando_types::repo::PreviewRepoList;

use crate::Api;
use crate::auth::Caller;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The repositories of the org's apps, by name, and whether their pull requests get previews.
///
/// A repository is listed once its number is known: from the first webhook about it on.
#[utoipa::path(
    get, path = "/preview-repos", tag = "previews", operation_id = "preview_repo_list",
    responses((status = 200, body = PreviewRepoList), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<PreviewRepoList>, Refused> {
    Ok(Json(api.deploy.preview_repo_list(caller.org).await?))
}
