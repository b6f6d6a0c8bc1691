//! `POST /v1/apps/{id}/env/import`.

use axum::Json;
use axum::extract::State;
use pando_types::env::{EnvImported, ImportEnv};

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Sets every variable of a `.env` file, as each would be set by itself, or none.
///
/// A refusal names the line that is at fault.
#[utoipa::path(
    post, path = "/apps/{id}/env/import", tag = "apps", operation_id = "env_import",
    params(("id" = String, Path, format = Uuid)), request_body = ImportEnv,
    responses((status = 200, body = EnvImported), Refusals)
)]
pub async fn import(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(request): JsonBody<ImportEnv>,
) -> Result<Json<EnvImported>, Refused> {
    Ok(Json(api.deploy.env_import(caller.org, app_id(&id)?, &request).await?))
}
