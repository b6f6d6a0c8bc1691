//! `POST /v1/sandboxes/{id}/repl/sessions/{session}/run`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use pando_guest_protocol::repl::MAX_CODE_BYTES;
use pando_node::guest::Ran;
use pando_types::limits::{
    DEFAULT_EXEC_TIMEOUT, MAX_CELL_BYTES, MAX_EXEC_OUTPUT_BYTES, MAX_EXEC_TIMEOUT,
};
use pando_types::repl::{CellResult, RunCell};
use pando_types::{Code, PublicError};

use super::{Session, failed, session_id};
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::guest;

const _: () = assert!(MAX_CELL_BYTES <= MAX_CODE_BYTES, "the guest takes less code than the API");

/// Runs code in a session and answers when it ends. A connection that closes before interrupts it.
///
/// One cell of a session runs at a time: another is 409 meanwhile. A cell past its `timeout_ms`
/// is 504: it is interrupted and the session goes on, unless the cell does not stop within 3 s,
/// which ends the session.
#[utoipa::path(
    post, path = "/sandboxes/{id}/repl/sessions/{session}/run", tag = "code",
    operation_id = "repl_run", params(Session),
    request_body = RunCell, responses((status = 200, body = CellResult), Refusals)
)]
pub async fn run(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, session)): UrlPath<(String, String)>,
    JsonBody(cell): JsonBody<RunCell>,
) -> Result<Json<CellResult>, Refused> {
    let limit = check(&cell)?;
    let session = session_id(session)?;
    let guest = guest(&api, &caller, &id).await?;
    let ran = guest.run_cell(&session, &cell.code, limit, MAX_EXEC_OUTPUT_BYTES).await;
    Ok(Json(result(ran.map_err(failed)?, limit)?))
}

/// The time limit of a cell that may be sent to a guest.
fn check(cell: &RunCell) -> Result<Duration, PublicError> {
    if cell.code.len() > MAX_CELL_BYTES {
        let message =
            format!("`code` is {} bytes long; the most is {MAX_CELL_BYTES}", cell.code.len());
        return Err(PublicError::invalid("code", message));
    }
    if cell.code.contains('\0') {
        return Err(PublicError::invalid("code", "`code` must not hold a NUL byte"));
    }
    let Some(ms) = cell.timeout_ms else { return Ok(DEFAULT_EXEC_TIMEOUT) };
    let limit = u64::try_from(ms).ok().map(Duration::from_millis);
    limit.filter(|limit| (Duration::from_millis(1)..=MAX_EXEC_TIMEOUT).contains(limit)).ok_or_else(
        || {
            let most = MAX_EXEC_TIMEOUT.as_millis();
            PublicError::invalid("timeout_ms", format!("`timeout_ms` must be 1 to {most}"))
        },
    )
}

fn result(ran: Ran, limit: Duration) -> Result<CellResult, PublicError> {
    let done = ran.done;
    if done.timed_out {
        let secs = limit.as_secs_f64();
        let then = match done.session_ended {
            false => "so it was interrupted; its session goes on with its state",
            true => "and did not stop when it was interrupted, so its session was ended",
        };
        // Public clients look for the word `timeout`.
        let message = format!("timeout: the cell ran for {secs} s, {then}");
        return Err(PublicError::new(Code::Timeout, message).hint("raise `timeout_ms`"));
    }
    Ok(CellResult {
        results: ran.results,
        stdout: String::from_utf8_lossy(&ran.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ran.stderr).into_owned(),
        error: done.error,
        exit_code: done.exit_code,
        duration_ms: done.duration_ms,
        truncated: ran.truncated,
        session_ended: done.session_ended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::repl::CellDone;

    fn cell(timeout_ms: Option<i64>) -> RunCell {
        RunCell { code: "1".into(), timeout_ms }
    }

    #[test]
    fn limits_are_checked_by_field() {
        assert_eq!(check(&cell(None)), Ok(DEFAULT_EXEC_TIMEOUT));
        assert_eq!(check(&cell(Some(1))), Ok(Duration::from_millis(1)));
        assert_eq!(check(&cell(Some(86_400_000))), Ok(MAX_EXEC_TIMEOUT));
        for bad in [0, -1, 86_400_001, i64::MIN] {
            assert_eq!(check(&cell(Some(bad))).unwrap_err().field.as_deref(), Some("timeout_ms"));
        }
        for code in ["x".repeat(MAX_CELL_BYTES + 1), "a\0".into()] {
            let error = check(&RunCell { code, timeout_ms: None }).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("code"));
        }
    }

    #[test]
    fn a_timeout_says_what_became_of_the_session() {
        let ran = |session_ended| Ran {
            stdout: Vec::new(),
            stderr: Vec::new(),
            results: Vec::new(),
            done: CellDone {
                exit_code: 1,
                error: None,
                timed_out: true,
                session_ended,
                truncated: false,
                duration_ms: 5,
            },
            truncated: false,
        };
        let text = |ended| result(ran(ended), Duration::from_millis(1500)).unwrap_err();
        assert_eq!(text(false).code.status(), 504);
        assert!(text(false).message.starts_with("timeout: the cell ran for 1.5 s"));
        assert!(text(false).message.contains("goes on"));
        assert!(text(true).message.contains("was ended"));
    }
}
