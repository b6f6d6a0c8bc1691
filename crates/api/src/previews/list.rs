//! `GET /v1/previews`.

use axum::Json;
use axum::extract::State;
use pando_store::Listed;
use pando_types::AppId;
use pando_types::app::App;
use pando_types::page::List;

use crate::Api;
use crate::auth::Caller;
use crate::page::{PageOf, Paging};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The org's previews, oldest first.
#[utoipa::path(
    get, path = "/previews", tag = "previews", operation_id = "preview_list", params(Paging),
    responses((status = 200, body = List<App>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    PageOf(page): PageOf<AppId>,
) -> Result<Json<List<App>>, Refused> {
    Ok(Json(api.deploy.app_list(caller.org, Listed::Previews, page).await?))
}
