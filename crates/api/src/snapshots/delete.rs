//! `DELETE /v1/snapshots/{id}`.

use axum::extract::State;
use axum::http::StatusCode;

use super::snapshot_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Deletes a snapshot. Sandboxes that were made of it go on: what they share stays with them.
#[utoipa::path(
    delete, path = "/snapshots/{id}", tag = "snapshots", operation_id = "snapshot_delete", params(("id" = String, Path, format = Uuid)),
    responses((status = 204), Refusals)
)]
pub async fn delete(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<StatusCode, Refused> {
    api.sandboxes.snapshot_delete(caller.org, snapshot_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
