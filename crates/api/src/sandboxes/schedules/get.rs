//! `GET /v1/sandboxes/{id}/schedules/{schedule_id}`.

use axum::Json;
use axum::extract::State;
use pando_types::schedule::Schedule;

use super::{OfSandbox, schedule_id};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::sandbox_id;

/// One schedule, with what came of its last run.
#[utoipa::path(
    get, path = "/sandboxes/{id}/schedules/{schedule_id}", tag = "sandboxes",
    operation_id = "schedule_get", params(OfSandbox),
    responses((status = 200, body = Schedule), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, schedule)): UrlPath<(String, String)>,
) -> Result<Json<Schedule>, Refused> {
    let (sandbox, schedule) = (sandbox_id(&id)?, schedule_id(&schedule)?);
    Ok(Json(api.sandboxes.schedule_get(caller.org, sandbox, schedule).await?))
}
