//! `POST /v1/sandboxes/{id}/repl/sessions/{session}/run`.

use std::time::Duration;

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
use crate::answer::Answer;
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
) -> Result<Answer, Refused> {
    let limit = check(&cell)?;
    let (cell, mut held) = cell.apart();
    held.shrink_to(cell.code.capacity());
    let session = session_id(session)?;
    let guest = guest(&api, &caller, &id).await?;
    let ran = guest.run_cell(&session, &cell.code, limit, MAX_EXEC_OUTPUT_BYTES).await;
    Ok(answer(ran.map_err(failed)?, limit)?)
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

/// A [`CellResult`].
fn answer(ran: Ran, limit: Duration) -> Result<Answer, PublicError> {
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
    Ok(Answer::new()
        .lines("results", ran.results)
        .text("stdout", ran.stdout)
        .text("stderr", ran.stderr)
        .value("error", &done.error)
        .value("exit_code", &done.exit_code)
        .value("duration_ms", &done.duration_ms)
        .value("truncated", &ran.truncated)
        .value("session_ended", &done.session_ended))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use axum::response::IntoResponse;
    use pando_guest_protocol::repl::CellDone;
    use pando_node::held::{Budget, Held};

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

    fn ran(timed_out: bool, session_ended: bool) -> Ran {
        let account = Budget::new(1 << 20).account(None);
        let held = |text: &str| {
            let mut held = Held::nothing(&account);
            held.push(text.as_bytes()).unwrap();
            held
        };
        let (exit_code, truncated, duration_ms) = (1, false, 5);
        let error = Some("E\n".to_owned());
        let done = CellDone { exit_code, error, timed_out, session_ended, truncated, duration_ms };
        let results = held("{\"text/plain\":\"1\"}\n{}");
        Ran { stdout: held("out"), stderr: held("err"), results, done, truncated: true }
    }

    #[tokio::test]
    async fn the_answer_is_a_cell_result() {
        let answer = answer(ran(false, false), Duration::ZERO).unwrap().into_response();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let one = BTreeMap::from([("text/plain".to_owned(), "1".to_owned())]);
        let want = CellResult {
            results: vec![one, BTreeMap::new()],
            stdout: "out".into(),
            stderr: "err".into(),
            error: Some("E\n".into()),
            exit_code: 1,
            duration_ms: 5,
            truncated: true,
            session_ended: false,
        };
        assert_eq!(body, serde_json::to_vec(&want).unwrap());
    }

    #[test]
    fn a_timeout_says_what_became_of_the_session() {
        let text = |ended| match answer(ran(true, ended), Duration::from_millis(1500)) {
            Err(error) => error,
            Ok(_) => panic!("no timeout"),
        };
        assert_eq!(text(false).code.status(), 504);
        assert!(text(false).message.starts_with("timeout: the cell ran for 1.5 s"));
        assert!(text(false).message.contains("goes on"));
        assert!(text(true).message.contains("was ended"));
    }
}
