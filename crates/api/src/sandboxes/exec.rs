//! `POST /v1/sandboxes/{id}/exec`.

use axum::extract::State;
use pando_node::guest::Finished;
use pando_types::limits;
use pando_types::sandbox::{ExecCommand, ExecResult};

use super::{exec_request, guest};
use crate::Api;
use crate::answer::Answer;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Runs a command and answers when it ends. A connection that closes before kills it.
///
/// A command past its `timeout_seconds` is 504, and its process group is killed.
#[utoipa::path(
    post, path = "/sandboxes/{id}/exec", tag = "sandboxes", operation_id = "sandbox_exec", params(("id" = String, Path, format = Uuid)),
    request_body = ExecCommand, responses((status = 200, body = ExecResult), Refusals)
)]
pub async fn exec(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(command): JsonBody<ExecCommand>,
) -> Result<Answer, Refused> {
    let (command, mut held) = command.apart();
    let command = exec_request::check(command)?;
    let guest = guest(&api, &caller, &id).await?;
    let stdin = exec_request::input(command.stdin, &mut held);
    let failed = |error| exec_request::failed("cmd", error);
    let running = guest.exec_stream(command.exec, stdin).await.map_err(failed)?;
    // The guest has it now, and it may run for a day.
    drop(held);
    let finished = running.finish(limits::MAX_EXEC_OUTPUT_BYTES).await.map_err(failed)?;
    if finished.done.timed_out {
        return Err(exec_request::timed_out(command.timeout).into());
    }
    Ok(answer(finished))
}

/// An [`ExecResult`].
fn answer(finished: Finished) -> Answer {
    Answer::new()
        .text("stdout", finished.stdout)
        .text("stderr", finished.stderr)
        .value("exit_code", &finished.done.exit_code)
        .value("duration_ms", &finished.done.duration_ms)
        .value("truncated", &finished.truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use pando_guest_protocol::session::ExecDone;
    use pando_node::held::{Budget, Held};

    #[tokio::test]
    async fn the_answer_is_an_exec_result() {
        let account = Budget::new(1 << 20).account(None);
        let mut stdout = Held::nothing(&account);
        stdout.push(b"a\0").unwrap();
        let done = ExecDone { exit_code: 3, timed_out: false, duration_ms: 7 };
        let stderr = Held::nothing(&account);
        let answer = answer(Finished { stdout, stderr, done, truncated: true }).into_response();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let want = ExecResult {
            stdout: "a\0".into(),
            stderr: String::new(),
            exit_code: 3,
            duration_ms: 7,
            truncated: true,
        };
        assert_eq!(body, serde_json::to_vec(&want).unwrap());
    }
}
