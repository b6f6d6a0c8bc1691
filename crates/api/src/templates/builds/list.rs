//! `GET /v1/templates/builds`.

use axum::Json;
use axum::extract::State;
use pando_types::TemplateBuildId;
use pando_types::page::List;
use pando_types::template::TemplateBuild;

use crate::Api;
use crate::auth::Caller;
use crate::page::{PageOf, Paging};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The org's builds of templates, oldest first. The last hundred are kept.
#[utoipa::path(
    get, path = "/templates/builds", tag = "templates", operation_id = "template_build_list", params(Paging),
    responses((status = 200, body = List<TemplateBuild>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    PageOf(page): PageOf<TemplateBuildId>,
) -> Result<Json<List<TemplateBuild>>, Refused> {
    Ok(Json(api.templates.builds(caller.org, page).await?))
}
