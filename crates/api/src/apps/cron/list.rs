//! `GET /v1/apps/{id}/cron`.

use axum::Json;
use axum::extract::State;
use pando_types::cron::AppCron;
use pando_types::page::List;

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The cron of an app, by name: of its `pando.toml` at the commit that is live. An app that sleeps is not woken.
#[utoipa::path(
    get, path = "/apps/{id}/cron", tag = "apps", operation_id = "cron_list",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = List<AppCron>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<List<AppCron>>, Refused> {
    Ok(Json(api.deploy.cron_list(caller.org, app_id(&id)?).await?))
}
