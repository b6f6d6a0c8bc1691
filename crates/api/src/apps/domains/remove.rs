//! `DELETE /v1/apps/{id}/domains/{domain}`.

use axum::extract::State;
use axum::http::StatusCode;

use super::OfApp;
use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Removes a domain of an app: it leads nowhere when this is answered, and any app may have it.
#[utoipa::path(
    delete, path = "/apps/{id}/domains/{domain}", tag = "apps", operation_id = "domain_remove",
    params(OfApp), responses((status = 204), Refusals)
)]
pub async fn remove(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, domain)): UrlPath<(String, String)>,
) -> Result<StatusCode, Refused> {
    api.deploy.domain_remove(caller.org, app_id(&id)?, &domain).await?;
    Ok(StatusCode::NO_CONTENT)
}
