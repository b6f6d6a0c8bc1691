//! `POST` and `DELETE /v1/sandboxes/{id}/lease`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::{Lifecycle, TakeLease};

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Keeps a sandbox from being put to sleep for so many seconds from now.
///
/// It counts instead of what a former lease has left. It wakes nothing, and keeps neither
/// a deadline nor a call from ending or hibernating the sandbox.
#[utoipa::path(
    post, path = "/sandboxes/{id}/lease", tag = "sandboxes", operation_id = "sandbox_lease", params(("id" = String, Path, format = Uuid)),
    request_body = TakeLease, responses((status = 200, body = Lifecycle), Refusals)
)]
pub async fn take(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(request): JsonBody<TakeLease>,
) -> Result<Json<Lifecycle>, Refused> {
    let id = sandbox_id(&id)?;
    Ok(Json(api.sandboxes.lease(caller.org, id, Some(request.seconds)).await?))
}

/// Ends the lease of a sandbox; fine when it has none.
#[utoipa::path(
    delete, path = "/sandboxes/{id}/lease", tag = "sandboxes", operation_id = "sandbox_lease_end", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Lifecycle), Refusals)
)]
pub async fn end(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Lifecycle>, Refused> {
    Ok(Json(api.sandboxes.lease(caller.org, sandbox_id(&id)?, None).await?))
}
