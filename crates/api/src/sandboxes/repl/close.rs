//! `DELETE /v1/sandboxes/{id}/repl/sessions/{session}`.

use axum::extract::State;
use axum::http::StatusCode;

use super::{Session, failed, session_id};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::guest;

/// Ends a code session and whatever it runs.
#[utoipa::path(
    delete, path = "/sandboxes/{id}/repl/sessions/{session}", tag = "code",
    operation_id = "repl_close", params(Session),
    responses((status = 204), Refusals)
)]
pub async fn close(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, session)): UrlPath<(String, String)>,
) -> Result<StatusCode, Refused> {
    let session = session_id(session)?;
    guest(&api, &caller, &id).await?.close_repl(&session).await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}
