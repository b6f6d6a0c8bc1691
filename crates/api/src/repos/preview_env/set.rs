//! `PUT /v1/repos/{id}/preview-env/{key}`.

use axum::Json;
use axum::extract::State;
use pando_types::env::EnvSet;
use pando_types::repo::SetPreviewEnv;

use super::OfRepo;
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::repos::repo_id;

/// Sets a variable of the previews of all of the org's apps of a repository. What the apps' own
/// deployments are given stays as it is.
#[utoipa::path(
    put, path = "/repos/{id}/preview-env/{key}", tag = "previews", operation_id = "preview_env_set",
    params(OfRepo), request_body = SetPreviewEnv,
    responses((status = 200, body = EnvSet), Refusals)
)]
pub async fn set(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, key)): UrlPath<(String, String)>,
    JsonBody(request): JsonBody<SetPreviewEnv>,
) -> Result<Json<EnvSet>, Refused> {
    let (request, _held) = request.apart();
    Ok(Json(api.deploy.preview_env_set(caller.org, repo_id(&id)?, &key, request).await?))
}
