//! `GET /v1/templates/{name}`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::Template;

use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// One template.
#[utoipa::path(
    get, path = "/templates/{name}", tag = "templates", operation_id = "template_get", params(("name" = String, Path, min_length = 1, max_length = 64)),
    responses((status = 200, body = Template), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(name): UrlPath<String>,
) -> Result<Json<Template>, Refused> {
    Ok(Json(api.templates.get(caller.org, &name).await?))
}
