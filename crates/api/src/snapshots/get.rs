//! `GET /v1/snapshots/{id}`.

use axum::Json;
use axum::extract::State;
use pando_types::snapshot::Snapshot;

use super::snapshot_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// One snapshot.
#[utoipa::path(
    get, path = "/snapshots/{id}", tag = "snapshots", operation_id = "snapshot_get", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Snapshot), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Snapshot>, Refused> {
    Ok(Json(api.sandboxes.snapshot_get(caller.org, snapshot_id(&id)?).await?))
}
