//! `GET /v1/sandboxes/{id}/fs/dir?path=`.

use axum::extract::State;
use pando_types::sandbox::DirListing;

use super::file_info;
use super::path::{FilePath, PathQuery};
use crate::Api;
use crate::answer::Answer;
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
) -> Result<Answer, Refused> {
    let guest = guest(&api, &caller, &id).await?;
    let entries = guest.list(&path).await.map_err(guest_failed_at("path"))?;
    let entries = entries.map(|mut entries| {
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        entries
    });
    // A `DirListing`.
    let answer = Answer::new().value("path", &path);
    let entries = entries.into_iter().map(move |entry| {
        let whole = format!("{}/{}", path.trim_end_matches('/'), entry.name);
        file_info(entry, whole)
    });
    Ok(answer.list("entries", entries))
}
