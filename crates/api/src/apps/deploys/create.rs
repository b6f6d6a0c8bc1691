//! `POST /v1/apps/{id}/deploys`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pando_types::app::{CreateDeployment, Deployment};

use super::app_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::{OptionalJson, UrlPath};
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// Queues a deployment; what is live stays live until the new one is.
#[utoipa::path(
    post, path = "/apps/{id}/deploys", tag = "deployments", operation_id = "deployment_create",
    params(("id" = String, Path)), request_body = Option<CreateDeployment>,
    responses((status = 202, body = Deployment), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    OptionalJson(request): OptionalJson<CreateDeployment>,
) -> Result<(StatusCode, Json<Deployment>), Refused> {
    let deployment = api.deploy.deployment_create(caller.org, app_id(&id)?, request).await?;
    Ok((StatusCode::ACCEPTED, Json(deployment)))
}
