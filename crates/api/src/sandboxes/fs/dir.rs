//! `GET /v1/sandboxes/{id}/fs/dir?path=`.

use axum::Json;
use axum::extract::State;
use pando_types::sandbox::DirListing;

use super::file_info;
use super::path::{FilePath, PathQuery};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed_at};
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// A directory's entries, by name; links are not followed.
#[utoipa::path(
    get, path = "/sandboxes/{id}/fs/dir", tag = "files", operation_id = "file_dir",
    params(("id" = String, Path, format = Uuid), PathQuery),
    responses((status = 200, body = DirListing), Refusals)
)]
pub async fn dir(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    FilePath(path): FilePath,
) -> Result<Json<DirListing>, Refused> {
    let guest = guest(&api, &caller, &id).await?;
    let mut entries = guest.list(&path).await.map_err(guest_failed_at("path"))?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let parent = path.trim_end_matches('/');
    let entries = entries.into_iter().map(|entry| {
        let whole = format!("{parent}/{}", entry.name);
        file_info(entry, whole)
    });
    let entries = entries.collect();
    Ok(Json(DirListing { path, entries }))
}
