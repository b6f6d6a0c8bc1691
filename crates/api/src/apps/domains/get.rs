//! `GET /v1/apps/{id}/domains/{domain}`.

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

/// A domain of an app: how far it is, why, and the records that it waits for.
#[utoipa::path(
    get, path = "/apps/{id}/domains/{domain}", tag = "apps", operation_id = "domain_get",
    params(OfApp), responses((status = 200, body = AppDomain), Refusals)
)]
pub async fn get(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, domain)): UrlPath<(String, String)>,
) -> Result<Json<AppDomain>, Refused> {
    Ok(Json(api.deploy.domain_get(caller.org, app_id(&id)?, &domain).await?))
}
