//! `GET /v1/apps/{id}/deploys/{deployment}`.

use axum::extract::State;
use pando_types::app::Deployment;

use super::{app_id, deployment_id};
use crate::Api;
use crate::answer::Answer;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// One deployment, with its log so far.
#[utoipa::path(
    get, path = "/apps/{id}/deploys/{deployment}", tag = "deployments",
    operation_id = "deployment_get",
    params(("id" = String, Path, format = Uuid), ("deployment" = String, Path, format = Uuid)),
    responses((status = 200, body = Deployment), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((app, deployment)): UrlPath<(String, String)>,
) -> Result<Answer, Refused> {
    let (app, deployment) = (app_id(&app)?, deployment_id(&deployment)?);
    let account = api.node.budget().account(Some(caller.org));
    let (shown, log) = api.deploy.deployment_get(caller.org, app, deployment, &account).await?;
    Ok(Answer::new().fields(&shown).text("build_logs", log))
}
