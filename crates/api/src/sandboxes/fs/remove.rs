//! `DELETE /v1/sandboxes/{id}/fs?path=`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use pando_types::{Code, PublicError};

use super::path::{FilePath, PathQuery};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::query;
use crate::refusal::{Refused, guest_failed_at};
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// Removes a file or an empty directory; with `recursive=true`, a directory and all in it.
#[utoipa::path(
    delete, path = "/sandboxes/{id}/fs", tag = "files", operation_id = "file_remove",
    params(
        ("id" = String, Path, format = Uuid),
        PathQuery,
        ("recursive" = Option<bool>, Query, description = "Whether a directory may hold something"),
    ),
    responses((status = 204), Refusals)
)]
pub async fn remove(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    FilePath(path): FilePath,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Refused> {
    let recursive = query::switch(query.as_deref(), "recursive")?;
    if path.split('/').all(|component| matches!(component, "" | ".")) {
        let message = "the root directory cannot be removed; delete the sandbox instead";
        return Err(PublicError::new(Code::Conflict, message).into());
    }
    guest(&api, &caller, &id)
        .await?
        .remove(&path, recursive)
        .await
        .map_err(guest_failed_at("path"))?;
    Ok(StatusCode::NO_CONTENT)
}
