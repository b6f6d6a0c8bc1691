//! `POST /v1/apps/{id}/domains/{domain}/check`.

use axum::Json;
use axum::extract::State;
use pando_types::domain::AppDomain;

use super::OfApp;
use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Looks the records of a domain up now, which else happens by itself: soon after it was added and
/// then more seldom, of an active one daily.
#[utoipa::path(
    post, path = "/apps/{id}/domains/{domain}/check", tag = "apps", operation_id = "domain_check",
    params(OfApp), responses((status = 200, body = AppDomain), Refusals)
)]
pub async fn check(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, domain)): UrlPath<(String, String)>,
) -> Result<Json<AppDomain>, Refused> {
    Ok(Json(api.deploy.domain_check(caller.org, app_id(&id)?, &domain).await?))
}
