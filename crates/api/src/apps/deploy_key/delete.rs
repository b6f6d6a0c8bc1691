//! `DELETE /v1/apps/{id}/deploy-key`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Forgets an app's deploy key. Where there is none it is 204 too.
#[utoipa::path(
    delete, path = "/apps/{id}/deploy-key", tag = "apps", operation_id = "app_deploy_key_delete", params(("id" = String, Path, format = Uuid)),
    responses((status = 204), Refusals)
)]
pub async fn delete(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<StatusCode, Refused> {
    api.deploy.deploy_key_forget(caller.org, app_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
