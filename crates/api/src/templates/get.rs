//! `GET /v1/templates/{name}`.

use axum::Json;
use axum::extract::State;
use pando_types::PublicError;
use pando_types::sandbox::Template;

use crate::Api;
use crate::extract::{UrlPath, shown};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// One template.
#[utoipa::path(
    get, path = "/templates/{name}", tag = "templates", operation_id = "template_get", params(("name" = String, Path, min_length = 1, max_length = 64)),
    responses((status = 200, body = Template), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    UrlPath(name): UrlPath<String>,
) -> Result<Json<Template>, Refused> {
    let found = api.node.templates().into_iter().find(|template| template.name == name);
    Ok(Json(found.ok_or_else(|| PublicError::not_found("template", shown(&name)))?))
}
