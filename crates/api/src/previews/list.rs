//! `GET /v1/previews`.

use axum::Json;
use axum::extract::State;
use pando_types::api::List;
use pando_types::app::App;

use crate::Api;
use crate::auth::Caller;
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// The org's previews.
#[utoipa::path(
    get, path = "/previews", tag = "previews", operation_id = "preview_list",
    responses((status = 200, body = List<App>), Refusals)
)]
pub async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<List<App>>, Refused> {
    Ok(Json(List { items: api.deploy.previews(caller.org).await? }))
}
