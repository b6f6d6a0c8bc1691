//! `POST /v1/apps/{id}/rollback`.

use axum::extract::State;
use axum::response::Response;
use pando_types::app::{Deployment, Rollback};

use super::app_id;
use super::deploys::order::{Asked, place};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::idempotency::{IdempotencyKey, OptionalOnce};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Goes back to an earlier deployment, as it was when it was ready: its machine, with the
/// environment that it had. Nothing is built, and nothing released.
#[utoipa::path(
    post, path = "/apps/{id}/rollback", tag = "deployments", operation_id = "app_rollback",
    params(("id" = String, Path, format = Uuid), IdempotencyKey), request_body = Option<Rollback>,
    responses((status = 202, body = Deployment), Refusals)
)]
pub async fn rollback(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    OptionalOnce(once): OptionalOnce<Rollback>,
) -> Result<Response, Refused> {
    let app = app_id(&id)?;
    let (request, repeat) = once.apart();
    place(&api, &caller, app, request.map(Asked::Rollback), repeat).await
}
