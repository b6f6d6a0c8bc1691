//! `GET /v1/apps/{id}/deploy-key`.

use axum::Json;
use axum::extract::State;
use pando_types::app::DeployKey;

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The public half of an app's deploy key. 404 where it has none.
#[utoipa::path(
    get, path = "/apps/{id}/deploy-key", tag = "apps", operation_id = "app_deploy_key_get", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = DeployKey), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<DeployKey>, Refused> {
    Ok(Json(api.deploy.deploy_key_get(caller.org, app_id(&id)?).await?))
}
