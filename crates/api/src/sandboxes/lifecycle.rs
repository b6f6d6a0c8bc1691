//! `GET` and `PATCH /v1/sandboxes/{id}/lifecycle`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::{Lifecycle, SetLifecycle};

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// When a sandbox will be removed.
#[utoipa::path(
    get, path = "/sandboxes/{id}/lifecycle", tag = "sandboxes", operation_id = "sandbox_lifecycle", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Lifecycle), Refusals)
)]
pub async fn lifecycle(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Lifecycle>, Refused> {
    Ok(Json(api.sandboxes.lifecycle(caller.org, sandbox_id(&id)?).await?))
}

/// Changes when a sandbox will be removed. What is absent stays as it is.
#[utoipa::path(
    patch, path = "/sandboxes/{id}/lifecycle", tag = "sandboxes", operation_id = "sandbox_lifecycle_set", params(("id" = String, Path, format = Uuid)),
    request_body = SetLifecycle, responses((status = 200, body = Lifecycle), Refusals)
)]
pub async fn set_lifecycle(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(request): JsonBody<SetLifecycle>,
) -> Result<Json<Lifecycle>, Refused> {
    let (request, _held) = request.apart();
    Ok(Json(api.sandboxes.set_lifecycle(caller.org, sandbox_id(&id)?, request).await?))
}
