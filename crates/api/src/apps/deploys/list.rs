//! `GET /v1/apps/{id}/deploys`.

use axum::Json;
use axum::extract::State;
use pando_types::DeploymentId;
use pando_types::app::Deployment;
use pando_types::page::List;

use super::app_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::page::{PageOf, Paging};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// An app's deployments, newest first, without their logs.
#[utoipa::path(
    get, path = "/apps/{id}/deploys", tag = "deployments", operation_id = "deployment_list",
    params(("id" = String, Path, format = Uuid), Paging),
    responses((status = 200, body = List<Deployment>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    PageOf(page): PageOf<DeploymentId>,
) -> Result<Json<List<Deployment>>, Refused> {
    Ok(Json(api.deploy.deployment_list(caller.org, app_id(&id)?, page).await?))
}
