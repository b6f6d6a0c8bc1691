//! `GET /v1/snapshots`.

use axum::Json;
use axum::extract::{RawQuery, State};
use pando_types::page::List;
use pando_types::snapshot::Snapshots;
use pando_types::{PublicError, SandboxId, SnapshotId};

use crate::Api;
use crate::auth::Caller;
use crate::page::{PageOf, Paging};
use crate::query;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The org's snapshots, oldest first.
#[utoipa::path(
    get, path = "/snapshots", tag = "snapshots", operation_id = "snapshot_list",
    params(("sandbox_id" = Option<String>, Query, format = Uuid, description = "Only those of this sandbox."), Paging),
    responses((status = 200, body = Snapshots), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    PageOf(page): PageOf<SnapshotId>,
    RawQuery(query): RawQuery,
) -> Result<Json<Snapshots>, Refused> {
    let sandbox = query::value(query.as_deref(), "sandbox_id")?;
    let sandbox = sandbox
        .map(|text| text.parse::<SandboxId>())
        .transpose()
        .map_err(|error| PublicError::invalid("sandbox_id", error.to_string()))?;
    let List { items: snapshots, next_cursor } =
        api.sandboxes.snapshot_list(caller.org, sandbox, page).await?;
    Ok(Json(Snapshots { snapshots, next_cursor }))
}
