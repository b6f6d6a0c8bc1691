//! `GET /v1/apps/{id}/domains`.

use axum::Json;
use axum::extract::State;
use pando_types::domain::DomainList;

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The domains of an app, oldest first, all on one page.
#[utoipa::path(
    get, path = "/apps/{id}/domains", tag = "apps", operation_id = "domain_list",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = DomainList), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<DomainList>, Refused> {
    Ok(Json(api.deploy.domain_list(caller.org, app_id(&id)?).await?))
}
