//! `POST /v1/templates/build`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use pando_types::limits::{MAX_BUILD_UPLOAD_TIME, MAX_JSON_BODY_BYTES};
use pando_types::template::{BuildTemplate, TemplateBuild};
use pando_types::{Code, PublicError};

use super::form;
use crate::Api;
use crate::auth::Caller;
use crate::extract;
use crate::multipart;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Queues the build of a template; answers at once. Its log and its state tell the rest.
///
/// A Dockerfile is built in a machine of its own. What runs in the template, as whom, where
/// and on which ports, is what the built image says: the machine is saved once that is ready,
/// so that a sandbox of it begins ready. `FROM base` is the template for all of that name.
#[utoipa::path(
    post, path = "/templates/build", tag = "templates", operation_id = "template_build",
    request_body(content(
        (BuildTemplate = "application/x-www-form-urlencoded"),
        (BuildTemplate = "multipart/form-data"),
    )),
    responses((status = 202, body = TemplateBuild), Refusals)
)]
pub async fn build(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<TemplateBuild>), Refused> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (wanted, upload) = match multipart::boundary(content_type) {
        Some(boundary) => {
            let read = form::of_parts(&api.templates, request.into_body(), &boundary);
            match tokio::time::timeout(MAX_BUILD_UPLOAD_TIME, read).await {
                Ok(read) => read?,
                Err(_) => {
                    let secs = MAX_BUILD_UPLOAD_TIME.as_secs();
                    let message = format!("the body was not complete after {secs} s");
                    let error = PublicError::new(Code::InvalidRequest, message);
                    return Err(Refused::with_status(StatusCode::REQUEST_TIMEOUT, error));
                }
            }
        }
        None => {
            let body = extract::read(request, MAX_JSON_BODY_BYTES).await?;
            let text = std::str::from_utf8(&body).map_err(|_| {
                PublicError::new(Code::InvalidRequest, "the body must be a form: UTF-8")
            })?;
            (form::of_pairs(text)?, None)
        }
    };
    let build = api.templates.build(caller.org, wanted, upload).await?;
    Ok((StatusCode::ACCEPTED, Json(build)))
}
