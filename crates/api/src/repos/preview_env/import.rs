//! `POST /v1/repos/{id}/preview-env/import`.

use axum::Json;
use axum::extract::State;
use pando_types::env::EnvImported;
use pando_types::repo::ImportPreviewEnv;

use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::repos::{RepoId, repo_id};

/// Sets every variable of a `.env` file for the previews of a repository, or none.
#[utoipa::path(
    post, path = "/repos/{id}/preview-env/import", tag = "previews",
    operation_id = "preview_env_import", params(RepoId), request_body = ImportPreviewEnv,
    responses((status = 200, body = EnvImported), Refusals)
)]
pub async fn import(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(request): JsonBody<ImportPreviewEnv>,
) -> Result<Json<EnvImported>, Refused> {
    Ok(Json(api.deploy.preview_env_import(caller.org, repo_id(&id)?, &request).await?))
}
