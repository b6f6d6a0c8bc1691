//! `GET /v1/sandboxes`.

use axum::Json;
use axum::extract::{RawQuery, State};
use pando_types::SandboxId;
use pando_types::limits::MAX_METADATA_FILTERS;
use pando_types::page::List;
use pando_types::sandbox::Sandbox;

use crate::Api;
use crate::auth::Caller;
use crate::page::{PageOf, Paging};
use crate::query;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The org's sandboxes, oldest first. Deleted ones are not among them.
///
/// `metadata.KEY=VALUE` in the query, up to 8 times, keeps those that have all of these pairs.
#[utoipa::path(
    get, path = "/sandboxes", tag = "sandboxes", operation_id = "sandbox_list", params(Paging),
    responses((status = 200, body = List<Sandbox>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    PageOf(page): PageOf<SandboxId>,
    RawQuery(query): RawQuery,
) -> Result<Json<List<Sandbox>>, Refused> {
    let pairs = query::pairs(query.as_deref(), "metadata.", MAX_METADATA_FILTERS)?;
    Ok(Json(api.sandboxes.list(caller.org, &pairs, page).await?))
}
