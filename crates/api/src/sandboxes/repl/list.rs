//! `GET /v1/sandboxes/{id}/repl/sessions`.

use axum::extract::State;
use pando_types::page::List;
use pando_types::repl::ReplSession;

use super::{failed, public};
use crate::Api;
use crate::answer::Answer;
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
) -> Result<Answer, Refused> {
    let repls = guest(&api, &caller, &id).await?.repls().await.map_err(failed)?;
    let repls = repls.map(|mut repls| {
        repls.sort_unstable_by_key(|repl| repl.pid);
        repls
    });
    Ok(Answer::whole_list(repls.into_iter().map(public)))
}
