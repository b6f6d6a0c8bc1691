//! `GET /v1/volumes`.

use axum::Json;
use axum::extract::State;
use pando_types::VolumeId;
use pando_types::page::List;
use pando_types::volume::Volume;

use crate::Api;
use crate::auth::Caller;
use crate::page::{PageOf, Paging};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The org's volumes, oldest first.
#[utoipa::path(
    get, path = "/volumes", tag = "volumes", operation_id = "volume_list", params(Paging),
    responses((status = 200, body = List<Volume>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    PageOf(page): PageOf<VolumeId>,
) -> Result<Json<List<Volume>>, Refused> {
    Ok(Json(api.sandboxes.volume_list(caller.org, page).await?))
}
