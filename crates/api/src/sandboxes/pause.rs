//! `POST /v1/sandboxes/{id}/pause`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::Sandbox;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Stops the vCPUs; memory and open connections are kept. A paused sandbox is left as it is.
#[utoipa::path(
    post, path = "/sandboxes/{id}/pause", tag = "sandboxes", operation_id = "sandbox_pause", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Sandbox), Refusals)
)]
pub async fn pause(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Sandbox>, Refused> {
    Ok(Json(api.sandboxes.pause(caller.org, sandbox_id(&id)?).await?))
}
