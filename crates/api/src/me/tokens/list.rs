//! `GET /v1/me/tokens`.

use axum::Json;
use axum::extract::State;
use pando_store::KeyRow;
use pando_types::ApiKeyId;
use pando_types::api::Token;
use pando_types::page::{Cursor, List};

use super::shown;
use crate::Api;
use crate::auth::Caller;
use crate::page::{PageOf, Paging};
use crate::refusal::{Refused, store_failed};
use crate::refusals::Refusals;

/// The org's API keys, oldest first: never the keys themselves.
#[utoipa::path(
    get, path = "/me/tokens", tag = "tokens", operation_id = "token_list", params(Paging),
    responses((status = 200, body = List<Token>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    PageOf(page): PageOf<ApiKeyId>,
) -> Result<Json<List<Token>>, Refused> {
    let rows = api.store.key_list(caller.org, page.after, page.rows()).await;
    let place = |row: &KeyRow| Cursor { created: row.created, id: row.id };
    Ok(Json(List::of(rows.map_err(store_failed)?, &page, place, shown)))
}
