//! `GET /v1/sandboxes/{id}`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::Sandbox;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// One sandbox; 404 once it is deleted.
#[utoipa::path(
    get, path = "/sandboxes/{id}", tag = "sandboxes", operation_id = "sandbox_get", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Sandbox), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Sandbox>, Refused> {
    Ok(Json(api.sandboxes.get(caller.org, sandbox_id(&id)?).await?))
}
