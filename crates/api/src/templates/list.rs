//! `GET /v1/templates`.

use axum::Json;
use axum::extract::State;
use pando_types::page::List;
use pando_types::sandbox::Template;

use crate::Api;
use crate::auth::Caller;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The templates that the org can make sandboxes of: those for all, then its own by name.
#[utoipa::path(
    get, path = "/templates", tag = "templates", operation_id = "template_list",
    responses((status = 200, body = List<Template>), Refusals)
)]
pub async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<List<Template>>, Refused> {
    Ok(Json(List::whole(api.templates.list(caller.org).await?)))
}
