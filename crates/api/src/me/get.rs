//! Who the caller is: `GET /v1/me`.

use axum::Json;
use axum::extract::State;
use pando_types::PublicError;
use pando_types::api::Me;

use crate::Api;
use crate::auth::Caller;
use crate::refusal::{Refused, store_failed};
use crate::refusals::Refusals;

/// The key that asks, and the org it belongs to.
#[utoipa::path(get, path = "/me", tag = "server", operation_id = "me_get", responses((status = 200, body = Me), Refusals))]
pub async fn get(State(api): State<Api>, caller: Caller) -> Result<Json<Me>, Refused> {
    let org = api.store.org_get(caller.org).await.map_err(store_failed)?;
    // A key's org cannot go without the key: the row refers to it.
    let org = org.ok_or_else(|| PublicError::not_found("org", caller.org))?;
    Ok(Json(Me { id: caller.key, label: caller.label, org_id: caller.org, org: org.name }))
}
