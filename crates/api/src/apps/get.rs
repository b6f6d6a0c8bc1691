//! `GET /v1/apps/{id}`.

use axum::Json;
use axum::extract::State;
use pando_types::app::App;

use super::app_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// One app or preview.
#[utoipa::path(
    get, path = "/apps/{id}", tag = "apps", operation_id = "app_get", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = App), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<App>, Refused> {
    Ok(Json(api.deploy.app_get(caller.org, app_id(&id)?).await?))
}
