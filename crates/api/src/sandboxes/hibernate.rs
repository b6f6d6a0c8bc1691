//! `POST /v1/sandboxes/{id}/hibernate`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::Sandbox;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Saves memory, disks and devices, and ends the VM; answers when all of it is on the disk.
///
/// The id, the URLs and the files stay; open connections end. The next request, or call, wakes it.
/// One that sleeps is left as it is. 507: there is no room to save it, and it runs on.
#[utoipa::path(
    post, path = "/sandboxes/{id}/hibernate", tag = "sandboxes", operation_id = "sandbox_hibernate", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Sandbox), Refusals)
)]
pub async fn hibernate(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Sandbox>, Refused> {
    Ok(Json(api.sandboxes.hibernate(caller.org, sandbox_id(&id)?).await?))
}
