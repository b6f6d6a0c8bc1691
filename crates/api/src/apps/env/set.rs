//! `PUT /v1/apps/{id}/env/{key}`.

use axum::Json;
use axum::extract::State;
use pando_types::env::{EnvSet, SetEnv};

use super::OfApp;
use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Sets a variable of an app, and of its previews where its scope says so.
///
/// A variable of scope `all` that is set again with another scope is from then on only there; of
/// one that has a value for each scope, the other value stays. What is live goes on with what it
/// was started with. At most 64 KiB in all, names and values.
#[utoipa::path(
    put, path = "/apps/{id}/env/{key}", tag = "apps", operation_id = "env_set", params(OfApp),
    request_body = SetEnv, responses((status = 200, body = EnvSet), Refusals)
)]
pub async fn set(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, key)): UrlPath<(String, String)>,
    JsonBody(request): JsonBody<SetEnv>,
) -> Result<Json<EnvSet>, Refused> {
    let (request, _held) = request.apart();
    Ok(Json(api.deploy.env_set(caller.org, app_id(&id)?, &key, request).await?))
}
