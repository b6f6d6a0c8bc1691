//! `PATCH /v1/apps/{id}`.

use axum::Json;
use axum::extract::State;
use pando_types::app::{App, UpdateApp};

use super::app_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Changes an app. It holds from the next deployment on, also of its previews; what is live
/// stays as it is.
#[utoipa::path(
    patch, path = "/apps/{id}", tag = "apps", operation_id = "app_update", params(("id" = String, Path, format = Uuid)),
    request_body = UpdateApp, responses((status = 200, body = App), Refusals)
)]
pub async fn update(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(request): JsonBody<UpdateApp>,
) -> Result<Json<App>, Refused> {
    let (request, _held) = request.apart();
    Ok(Json(api.deploy.app_update(caller.org, app_id(&id)?, request).await?))
}
