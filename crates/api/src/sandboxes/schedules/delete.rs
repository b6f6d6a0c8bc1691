//! `DELETE /v1/sandboxes/{id}/schedules/{schedule_id}`.

use axum::extract::State;
use axum::http::StatusCode;

use super::{OfSandbox, schedule_id};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::sandbox_id;

/// Removes a schedule. What runs runs on.
#[utoipa::path(
    delete, path = "/sandboxes/{id}/schedules/{schedule_id}", tag = "sandboxes",
    operation_id = "schedule_delete", params(OfSandbox), responses((status = 204), Refusals)
)]
pub async fn delete(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, schedule)): UrlPath<(String, String)>,
) -> Result<StatusCode, Refused> {
    let (sandbox, schedule) = (sandbox_id(&id)?, schedule_id(&schedule)?);
    api.sandboxes.schedule_delete(caller.org, sandbox, schedule).await?;
    Ok(StatusCode::NO_CONTENT)
}
