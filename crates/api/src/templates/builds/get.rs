//! `GET /v1/templates/builds/{id}`.

use axum::Json;
use axum::extract::State;
use pando_types::template::TemplateBuild;

use super::build_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// One build of a template.
#[utoipa::path(
    get, path = "/templates/builds/{id}", tag = "templates", operation_id = "template_build_get", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = TemplateBuild), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<TemplateBuild>, Refused> {
    Ok(Json(api.templates.build_get(caller.org, build_id(&id)?).await?))
}
