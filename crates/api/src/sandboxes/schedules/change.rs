//! `PATCH /v1/sandboxes/{id}/schedules/{schedule_id}`.

use axum::Json;
use axum::extract::State;
use pando_types::schedule::{ChangeSchedule, Schedule};

use super::{OfSandbox, schedule_id};
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::sandbox_id;

/// Pauses a schedule, or lets it go on.
///
/// What runs runs on; what was missed while it was paused is not made up for.
#[utoipa::path(
    patch, path = "/sandboxes/{id}/schedules/{schedule_id}", tag = "sandboxes",
    operation_id = "schedule_change", params(OfSandbox), request_body = ChangeSchedule,
    responses((status = 200, body = Schedule), Refusals)
)]
pub async fn change(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, schedule)): UrlPath<(String, String)>,
    JsonBody(request): JsonBody<ChangeSchedule>,
) -> Result<Json<Schedule>, Refused> {
    let (sandbox, schedule) = (sandbox_id(&id)?, schedule_id(&schedule)?);
    let (request, _held) = request.apart();
    Ok(Json(api.sandboxes.schedule_change(caller.org, sandbox, schedule, &request).await?))
}
