//! `POST /v1/sandboxes/{id}/fs/dir?path=`.

use axum::extract::State;
use axum::http::StatusCode;

use super::path::{FilePath, PathQuery};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed_at};
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// Makes a directory and its parents. One that is there is left as it is.
#[utoipa::path(
    post, path = "/sandboxes/{id}/fs/dir", tag = "files", operation_id = "file_mkdir",
    params(("id" = String, Path, format = Uuid), PathQuery),
    responses((status = 204), Refusals)
)]
pub async fn mkdir(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    FilePath(path): FilePath,
) -> Result<StatusCode, Refused> {
    guest(&api, &caller, &id).await?.make_dir(&path).await.map_err(guest_failed_at("path"))?;
    Ok(StatusCode::NO_CONTENT)
}
