//! `PUT /v1/sandboxes/{id}/fs?path=`.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use futures_util::{Stream, StreamExt};
use pando_node::guest::GuestError;
use pando_types::limits::MAX_FILE_BYTES;
use pando_types::sandbox::FileWritten;
use pando_types::{Code, PublicError};

use super::path::{FilePath, PathQuery};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed_at};
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// The permission bits of a file that is made new.
const NEW_FILE_MODE: u32 = 0o644;

/// Replaces a file's bytes, or makes it with its parents. The old content stays until the new one is whole.
#[utoipa::path(
    put, path = "/sandboxes/{id}/fs", tag = "files", operation_id = "file_write",
    params(("id" = String, Path, format = Uuid), PathQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = FileWritten), Refusals)
)]
pub async fn write(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    FilePath(path): FilePath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<FileWritten>, Refused> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse().ok()).is_some_and(|bytes: u64| bytes > MAX_FILE_BYTES)
    {
        return Err(too_large().into());
    }
    let guest = guest(&api, &caller, &id).await?;
    let body = at_most(body.into_data_stream(), MAX_FILE_BYTES);
    let written =
        guest.write_file(&path, NEW_FILE_MODE, Box::pin(body)).await.map_err(write_failed)?;
    Ok(Json(FileWritten { path, bytes: written.bytes }))
}

/// Why an upload did not reach its end.
#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error("the upload passed the limit")]
    TooLarge,
    #[error("the client broke off")]
    Client(#[source] axum::Error),
}

/// The bytes of `body`, ended by an error once there are more than `limit`.
fn at_most(
    body: impl Stream<Item = Result<Bytes, axum::Error>>,
    limit: u64,
) -> impl Stream<Item = Result<Bytes, UploadError>> {
    let mut left = limit;
    body.map(move |bytes| {
        let bytes = bytes.map_err(UploadError::Client)?;
        let after = u64::try_from(bytes.len()).ok().and_then(|length| left.checked_sub(length));
        left = after.ok_or(UploadError::TooLarge)?;
        Ok(bytes)
    })
}

fn write_failed(error: GuestError) -> Refused {
    match &error {
        GuestError::Body(source) => match source.downcast_ref() {
            Some(UploadError::Client(_)) => {
                let message = "the body ended before it was complete; the file is as it was";
                PublicError::new(Code::InvalidRequest, message).into()
            }
            _ => too_large().into(),
        },
        _ => guest_failed_at("path")(error),
    }
}

fn too_large() -> PublicError {
    let message = format!("a file may have {MAX_FILE_BYTES} bytes at most; it is as it was");
    PublicError::new(Code::TooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    async fn passed(sizes: &[usize], limit: u64) -> (usize, bool) {
        let body: Vec<_> = sizes.iter().map(|size| Ok(Bytes::from(vec![0; *size]))).collect();
        let out: Vec<_> = at_most(stream::iter(body), limit).collect().await;
        let bytes = out.iter().flatten().map(Bytes::len).sum();
        (bytes, out.iter().any(|piece| matches!(piece, Err(UploadError::TooLarge))))
    }

    #[tokio::test]
    async fn the_limit_itself_fits_and_one_more_does_not() {
        assert_eq!(passed(&[4, 6], 10).await, (10, false));
        assert_eq!(passed(&[4, 7], 10).await, (4, true));
        assert_eq!(passed(&[], 10).await, (0, false));
    }

    #[test]
    fn a_broken_upload_is_no_server_error() {
        let broken = UploadError::Client(axum::Error::new(std::io::Error::other("reset")));
        let code =
            |error: UploadError| write_failed(GuestError::Body(Box::new(error))).into_error().code;
        assert_eq!(code(broken), Code::InvalidRequest);
        assert_eq!(code(UploadError::TooLarge), Code::TooLarge);
    }
}
