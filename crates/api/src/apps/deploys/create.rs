//! `POST /v1/apps/{id}/deploys`.

use axum::extract::State;
use axum::response::Response;
use pando_types::app::{CreateDeployment, Deployment};

use super::app_id;
use super::order::{Asked, place};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::idempotency::{IdempotencyKey, OptionalOnce};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Queues a deployment; what is live stays live until the new one is.
#[utoipa::path(
    post, path = "/apps/{id}/deploys", tag = "deployments", operation_id = "deployment_create",
    params(("id" = String, Path, format = Uuid), IdempotencyKey), request_body = Option<CreateDeployment>,
    responses((status = 202, body = Deployment), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    OptionalOnce(once): OptionalOnce<CreateDeployment>,
) -> Result<Response, Refused> {
    let app = app_id(&id)?;
    let (request, repeat) = once.apart();
    place(&api, &caller, app, request.map(Asked::Deploy), repeat).await
}
