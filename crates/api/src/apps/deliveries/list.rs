//! `GET /v1/apps/{id}/deliveries`.

use axum::Json;
use axum::extract::State;
use pando_types::DeliveryId;
use pando_types::app::AppDelivery;
use pando_types::page::List;

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::page::{PageOf, Paging};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The webhooks about an app's repository, newest first, with what was decided about the app and
/// its previews, and why. They are kept for 30 days. Of a preview: those of its app.
#[utoipa::path(
    get, path = "/apps/{id}/deliveries", tag = "webhooks", operation_id = "delivery_list",
    params(("id" = String, Path, format = Uuid), Paging),
    responses((status = 200, body = List<AppDelivery>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    PageOf(page): PageOf<DeliveryId>,
) -> Result<Json<List<AppDelivery>>, Refused> {
    Ok(Json(api.deploy.delivery_list(caller.org, app_id(&id)?, page).await?))
}
