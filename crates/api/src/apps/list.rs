//! `GET /v1/apps`.

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

/// The org's apps, and its previews (`is_preview`), oldest first.
#[utoipa::path(
    get, path = "/apps", tag = "apps", operation_id = "app_list", params(Paging),
    responses((status = 200, body = List<App>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    PageOf(page): PageOf<AppId>,
) -> Result<Json<List<App>>, Refused> {
    Ok(Json(api.deploy.app_list(caller.org, Listed::All, page).await?))
}
