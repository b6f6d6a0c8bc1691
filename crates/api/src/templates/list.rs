//! `GET /v1/templates`.

use axum::Json;
use axum::extract::State;
use pando_types::page::List;
use pando_types::sandbox::Template;

use crate::Api;
use crate::refusals::Refusals;

/// The templates that a sandbox can be made from.
#[utoipa::path(
    get, path = "/templates", tag = "templates", operation_id = "template_list",
    responses((status = 200, body = List<Template>), Refusals)
)]
pub async fn list(State(api): State<Api>) -> Json<List<Template>> {
    Json(List::whole(api.node.templates()))
}
