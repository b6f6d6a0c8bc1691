//! `POST /v1/sandboxes/{id}/promote`.

use axum::Json;
use axum::extract::State;
use pando_types::snapshot::{Promote, Promoted};

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::{OptionalJson, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Lets one child of a fork-tree stay, with its parent's lifetime; removes its siblings if asked to.
///
/// What could not be removed is in `failures`, by id. 409 for a sandbox of no tree.
#[utoipa::path(
    post, path = "/sandboxes/{id}/promote", tag = "sandboxes", operation_id = "sandbox_promote",
    params(("id" = String, Path, format = Uuid)), request_body = Option<Promote>,
    responses((status = 200, body = Promoted), Refusals)
)]
pub async fn promote(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    OptionalJson(request): OptionalJson<Promote>,
) -> Result<Json<Promoted>, Refused> {
    let (request, _held) = request.apart();
    Ok(Json(api.sandboxes.promote(caller.org, sandbox_id(&id)?, request).await?))
}
