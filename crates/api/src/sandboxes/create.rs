//! `POST /v1/sandboxes`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pando_types::sandbox::{CreateSandbox, Sandbox};

use crate::Api;
use crate::auth::Caller;
use crate::extract::JsonBody;
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// Restores a new sandbox from a template; answers when its agent does.
///
/// 503 with `Retry-After` and 507 mean that nothing was made.
#[utoipa::path(
    post, path = "/sandboxes", tag = "sandboxes", operation_id = "sandbox_create", request_body = CreateSandbox,
    responses((status = 201, body = Sandbox), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(request): JsonBody<CreateSandbox>,
) -> Result<(StatusCode, Json<Sandbox>), Refused> {
    let sandbox = api.sandboxes.create(caller.org, None, request).await?;
    Ok((StatusCode::CREATED, Json(sandbox)))
}
