//! `DELETE /v1/apps/{id}`.

use axum::extract::State;
use axum::http::StatusCode;

use super::app_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Removes an app with its previews, deployments and sandboxes.
///
/// A second time is 204 too; an id that never was is 404.
#[utoipa::path(
    delete, path = "/apps/{id}", tag = "apps", operation_id = "app_delete", params(("id" = String, Path, format = Uuid)),
    responses((status = 204), Refusals)
)]
pub async fn delete(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<StatusCode, Refused> {
    api.deploy.app_delete(caller.org, app_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
