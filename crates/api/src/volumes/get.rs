//! `GET /v1/volumes/{name}`.

use axum::Json;
use axum::extract::State;
use pando_types::schema::value::VolumeName;
use pando_types::volume::Volume;

use super::volume_name;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// One volume.
#[utoipa::path(
    get, path = "/volumes/{name}", tag = "volumes", operation_id = "volume_get", params(("name" = inline(VolumeName), Path)),
    responses((status = 200, body = Volume), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(name): UrlPath<String>,
) -> Result<Json<Volume>, Refused> {
    Ok(Json(api.sandboxes.volume_get(caller.org, volume_name(&name)?).await?))
}
