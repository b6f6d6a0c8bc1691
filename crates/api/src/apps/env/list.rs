//! `GET /v1/apps/{id}/env`.

use axum::Json;
use axum::extract::State;
use pando_types::env::EnvList;

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The variables of an app, by name, all on one page. Values of secrets are masked.
///
/// A name stands there twice where previews are given another value. Of a preview: what it has of
/// its app.
#[utoipa::path(
    get, path = "/apps/{id}/env", tag = "apps", operation_id = "env_list", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = EnvList), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<EnvList>, Refused> {
    Ok(Json(api.deploy.env_list(caller.org, app_id(&id)?).await?))
}
