//! `POST /v1/sandboxes/{id}/resume`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::Sandbox;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Lets the vCPUs run on. A running sandbox is left as it is.
#[utoipa::path(
    post, path = "/sandboxes/{id}/resume", tag = "sandboxes", operation_id = "sandbox_resume", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Sandbox), Refusals)
)]
pub async fn resume(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Sandbox>, Refused> {
    Ok(Json(api.sandboxes.resume(caller.org, sandbox_id(&id)?).await?))
}
