//! `GET /v1/sandboxes/{id}/repl/sessions`.

use axum::Json;
use axum::extract::State;
use pando_types::page::List;
use pando_types::repl::ReplSession;

use super::{failed, public};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// The code sessions of a sandbox.
#[utoipa::path(
    get, path = "/sandboxes/{id}/repl/sessions", tag = "code", operation_id = "repl_list",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = List<ReplSession>), Refusals)
)]
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<List<ReplSession>>, Refused> {
    let mut repls = guest(&api, &caller, &id).await?.repls().await.map_err(failed)?;
    repls.sort_by_key(|repl| repl.pid);
    Ok(Json(List::whole(repls.into_iter().map(public).collect())))
}
