//! `POST /v1/preview-repos`.

use axum::Json;
use axum::extract::State;
use pando_types::repo::{EnablePreviewRepo, PreviewRepo};

use crate::Api;
use crate::auth::Caller;
use crate::extract::JsonBody;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Switches previews on for the org's apps of a repository: `previews` of each, at once.
#[utoipa::path(
    post, path = "/preview-repos", tag = "previews", operation_id = "preview_repo_enable",
    request_body = EnablePreviewRepo, responses((status = 200, body = PreviewRepo), Refusals)
)]
pub async fn enable(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(request): JsonBody<EnablePreviewRepo>,
) -> Result<Json<PreviewRepo>, Refused> {
    let (request, _held) = request.apart();
    Ok(Json(api.deploy.preview_repo_enable(caller.org, request).await?))
}
