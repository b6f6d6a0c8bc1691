//! `DELETE /v1/sandboxes/{id}`.

use axum::extract::State;
use axum::http::StatusCode;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Removes a sandbox with its disk. A second time is 204 too; an id that never was is 404.
#[utoipa::path(
    delete, path = "/sandboxes/{id}", tag = "sandboxes", operation_id = "sandbox_delete", params(("id" = String, Path, format = Uuid)),
    responses((status = 204), Refusals)
)]
pub async fn delete(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<StatusCode, Refused> {
    api.sandboxes.delete(caller.org, sandbox_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
