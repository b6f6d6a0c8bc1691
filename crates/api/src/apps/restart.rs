//! `POST /v1/apps/{id}/restart`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pando_types::DeploymentId;
use pando_types::app::Deployment;

use super::app_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Starts what is live anew, with the environment that the app has now. Nothing is built; what
/// is live serves until the new one answers.
#[utoipa::path(
    post, path = "/apps/{id}/restart", tag = "deployments", operation_id = "app_restart",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 202, body = Deployment), Refusals)
)]
pub async fn restart(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<(StatusCode, Json<Deployment>), Refused> {
    let app = app_id(&id)?;
    let deployment = api.deploy.app_restart(DeploymentId::new(), caller.org, app).await?;
    Ok((StatusCode::ACCEPTED, Json(deployment)))
}
