//! `POST /v1/sandboxes/{id}/fs/rename`.

use axum::extract::State;
use axum::http::StatusCode;
use pando_types::schema::value::GuestPath;
use serde::Deserialize;
use utoipa::ToSchema;

use super::path;
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::{Refused, guest_failed_at};
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// What to rename, both absolute paths of one sandbox.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RenameFile {
    /// What is there.
    #[schema(value_type = GuestPath)]
    from: String,
    /// What it is called from now on; a file of that name is replaced.
    #[schema(value_type = GuestPath)]
    to: String,
}

/// Renames a file or a directory within the sandbox.
#[utoipa::path(
    post, path = "/sandboxes/{id}/fs/rename", tag = "files", operation_id = "file_rename", params(("id" = String, Path, format = Uuid)),
    request_body = RenameFile, responses((status = 204), Refusals)
)]
pub async fn rename(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(request): JsonBody<RenameFile>,
) -> Result<StatusCode, Refused> {
    path::check("from", &request.from)?;
    path::check("to", &request.to)?;
    let guest = guest(&api, &caller, &id).await?;
    guest.rename(&request.from, &request.to).await.map_err(guest_failed_at("to"))?;
    Ok(StatusCode::NO_CONTENT)
}
