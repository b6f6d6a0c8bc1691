//! `POST /v1/sandboxes/{id}/exec`.

use axum::Json;
use axum::extract::State;
use pando_types::limits;
use pando_types::sandbox::{ExecCommand, ExecResult};

use super::{exec_request, guest};
use crate::Api;
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
) -> Result<Json<ExecResult>, Refused> {
    let command = exec_request::check(command)?;
    let guest = guest(&api, &caller, &id).await?;
    let stdin = exec_request::input(command.stdin);
    let finished = guest
        .exec(command.exec, stdin, limits::MAX_EXEC_OUTPUT_BYTES)
        .await
        .map_err(|error| exec_request::failed("cmd", error))?;
    if finished.done.timed_out {
        return Err(exec_request::timed_out(command.timeout).into());
    }
    Ok(Json(ExecResult {
        stdout: String::from_utf8_lossy(&finished.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&finished.stderr).into_owned(),
        exit_code: finished.done.exit_code,
        duration_ms: finished.done.duration_ms,
        truncated: finished.truncated,
    }))
}
