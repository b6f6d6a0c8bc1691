//! `POST /v1/apps/{id}/deploy-key`.

use axum::Json;
use axum::extract::State;
use pando_types::app::DeployKey;

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Makes a deploy key for an app whose `git_url` is an ssh address, and returns its public half.
///
/// An app that has one keeps it: delete it first to have another. Add the public half to the
/// repository as a deploy key that may only read; the private half never leaves the server.
#[utoipa::path(
    post, path = "/apps/{id}/deploy-key", tag = "apps", operation_id = "app_deploy_key_make", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = DeployKey), Refusals)
)]
pub async fn make(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<DeployKey>, Refused> {
    Ok(Json(api.deploy.deploy_key_make(caller.org, app_id(&id)?).await?))
}
