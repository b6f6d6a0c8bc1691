//! `GET /v1/sandboxes/{id}/fs?path=`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use pando_types::limits::MAX_FILE_BYTES;
use pando_types::{Code, PublicError};

use super::path::{FilePath, PathQuery};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed_at};
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// A file's bytes. If the guest fails midway, the response breaks off without its end.
#[utoipa::path(
    get, path = "/sandboxes/{id}/fs", tag = "files", operation_id = "file_read",
    params(("id" = String, Path, format = Uuid), PathQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"), Refusals
    )
)]
pub async fn read(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    FilePath(path): FilePath,
) -> Result<Response, Refused> {
    let guest = guest(&api, &caller, &id).await?;
    let (entry, bytes) = guest.read_file(&path).await.map_err(guest_failed_at("path"))?;
    if entry.size_bytes > MAX_FILE_BYTES {
        let message = format!("the file is larger than {MAX_FILE_BYTES} bytes");
        return Err(PublicError::new(Code::TooLarge, message).into());
    }
    // No Content-Length: the size may change while it is read, and files of /proc claim to be empty.
    let mut response = Response::new(Body::from_stream(bytes));
    let content_type = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}
