//! `DELETE /v1/apps/{id}/env/{key}`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use pando_types::PublicError;
use pando_types::env::{EnvScope, UnknownScope};
use utoipa::IntoParams;

use super::OfApp;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::{Api, query};

/// The query, as the route describes it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes; the handler reads")]
pub struct From {
    /// From which deployments it is taken; from all when absent.
    #[param(inline)]
    scope: Option<EnvScope>,
}

/// Removes a variable of an app, and of its previews.
#[utoipa::path(
    delete, path = "/apps/{id}/env/{key}", tag = "apps", operation_id = "env_unset",
    params(OfApp, From), responses((status = 204), Refusals)
)]
pub async fn unset(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, key)): UrlPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Refused> {
    let app = app_id(&id)?;
    api.deploy.env_unset(caller.org, app, &key, scope(query.as_deref())?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn scope(query: Option<&str>) -> Result<EnvScope, PublicError> {
    let Some(text) = query::value(query, "scope")? else { return Ok(EnvScope::All) };
    text.parse().map_err(|error: UnknownScope| PublicError::invalid("scope", error.to_string()))
}
