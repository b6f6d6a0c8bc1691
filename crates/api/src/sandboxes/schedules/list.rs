//! `GET /v1/sandboxes/{id}/schedules`.

use axum::Json;
use axum::extract::State;
use pando_types::page::List;
use pando_types::schedule::Schedule;

use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::sandbox_id;

/// The schedules of a sandbox, oldest first, all on one page. Reading them wakes nothing.
#[utoipa::path(
    get, path = "/sandboxes/{id}/schedules", tag = "sandboxes", operation_id = "schedule_list",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = List<Schedule>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<List<Schedule>>, Refused> {
    Ok(Json(api.sandboxes.schedule_list(caller.org, sandbox_id(&id)?).await?))
}
