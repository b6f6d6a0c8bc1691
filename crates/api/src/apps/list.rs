//! `GET /v1/apps`.

use axum::Json;
use axum::extract::State;
use pando_types::api::List;
use pando_types::app::App;

use crate::Api;
use crate::auth::Caller;
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// The org's apps, and its previews (`is_preview`).
#[utoipa::path(
    get, path = "/apps", tag = "apps", operation_id = "app_list",
    responses((status = 200, body = List<App>), Refusals)
)]
pub async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<List<App>>, Refused> {
    Ok(Json(List { items: api.deploy.app_list(caller.org).await? }))
}
