//! `POST /v1/apps/{id}/cron/{name}/run`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pando_types::cron::AppCron;
use pando_types::schema::value::ProcessName;

use super::cron_name;
use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Runs a cron of an app at once, also one that is not enabled. An app that sleeps is woken.
///
/// The answer comes before the run begins. Its `asked_at` is the `due_at` of the run, which
/// `last_run` of the list has when it ended (or `last_miss`, where it could not begin). While it
/// runs, or where nothing is live, it is refused with 409.
#[utoipa::path(
    post, path = "/apps/{id}/cron/{name}/run", tag = "apps", operation_id = "cron_run",
    params(("id" = String, Path, format = Uuid), ("name" = inline(ProcessName), Path)),
    responses((status = 202, body = AppCron), Refusals)
)]
pub async fn run(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, name)): UrlPath<(String, String)>,
) -> Result<(StatusCode, Json<AppCron>), Refused> {
    let (app, name) = (app_id(&id)?, cron_name(&name)?);
    Ok((StatusCode::ACCEPTED, Json(api.deploy.cron_run(caller.org, app, name).await?)))
}
