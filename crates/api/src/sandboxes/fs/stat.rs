//! `GET /v1/sandboxes/{id}/fs/stat?path=`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::FileInfo;

use super::file_info;
use super::path::{FilePath, PathQuery};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed_at};
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// One file or directory, 404 when it is missing; links are not followed.
#[utoipa::path(
    get, path = "/sandboxes/{id}/fs/stat", tag = "files", operation_id = "file_stat",
    params(("id" = String, Path, format = Uuid), PathQuery),
    responses((status = 200, body = FileInfo), Refusals)
)]
pub async fn stat(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    FilePath(path): FilePath,
) -> Result<Json<FileInfo>, Refused> {
    let guest = guest(&api, &caller, &id).await?;
    let entry = guest.stat(&path).await.map_err(guest_failed_at("path"))?;
    Ok(Json(file_info(entry.apart().0, path)))
}
