//! `POST /v1/sandboxes/{id}/wake`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::Sandbox;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Wakes a sandbox that sleeps; answers when its agent does. One that is awake is left as it is.
///
/// It goes on where it was: processes, memory and files. Its clock is right before they run.
#[utoipa::path(
    post, path = "/sandboxes/{id}/wake", tag = "sandboxes", operation_id = "sandbox_wake", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Sandbox), Refusals)
)]
pub async fn wake(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Sandbox>, Refused> {
    Ok(Json(api.sandboxes.wake(caller.org, sandbox_id(&id)?).await?))
}
