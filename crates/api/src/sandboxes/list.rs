//! `GET /v1/sandboxes`.

use axum::Json;
use axum::extract::State;
use pando_types::api::List;
use pando_types::sandbox::Sandbox;

use crate::Api;
use crate::auth::Caller;
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// The org's sandboxes, oldest first. Deleted ones are not among them.
#[utoipa::path(
    get, path = "/sandboxes", tag = "sandboxes", operation_id = "sandbox_list",
    responses((status = 200, body = List<Sandbox>), Refusals)
)]
pub async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<List<Sandbox>>, Refused> {
    Ok(Json(List { items: api.sandboxes.list(caller.org).await? }))
}
