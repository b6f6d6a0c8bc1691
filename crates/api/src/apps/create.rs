//! `POST /v1/apps`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pando_types::app::{App, CreateApp};

use crate::Api;
use crate::auth::Caller;
use crate::extract::JsonBody;
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// Makes an app of a repository and deploys the head of its branch. `url` is its for life.
#[utoipa::path(
    post, path = "/apps", tag = "apps", operation_id = "app_create", request_body = CreateApp,
    responses((status = 201, body = App), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(request): JsonBody<CreateApp>,
) -> Result<(StatusCode, Json<App>), Refused> {
    let app = api.deploy.app_create(caller.org, request).await?;
    Ok((StatusCode::CREATED, Json(app)))
}
