//! `DELETE /v1/volumes/{name}`.

use axum::extract::State;
use axum::http::StatusCode;
use pando_types::schema::value::VolumeName;

use super::volume_name;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Deletes a volume and what is on it. 409 while a sandbox holds it, running or asleep.
#[utoipa::path(
    delete, path = "/volumes/{name}", tag = "volumes", operation_id = "volume_delete", params(("name" = inline(VolumeName), Path)),
    responses((status = 204), Refusals)
)]
pub async fn delete(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(name): UrlPath<String>,
) -> Result<StatusCode, Refused> {
    api.sandboxes.volume_delete(caller.org, volume_name(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
