//! `POST /v1/apps/{id}/run`.

use axum::extract::State;
use axum::response::Response;
use pando_node::guest::ExecInput;
use pando_types::process::RunCommand;

use super::app_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::exec_request;
use crate::sandboxes::exec_stream::messages;
use crate::sse::{self, StreamEvent};

/// Runs a command once where an app is live, beside its processes, and sends its output as it comes, as server-sent events.
///
/// It runs in the app's folder, with the environment that the app's processes have (but `PORT`
/// and `HOST`, which are the web process's). `stdout` and `stderr` events hold `{"chunk"}`; the
/// last event is `exit` with `{"exit_code", "duration_ms"}`, or `error` with `{"error", "code"}`.
/// Closing the connection kills the command. An app that sleeps is woken; one that is not live is
/// refused with 409.
#[utoipa::path(
    post, path = "/apps/{id}/run", tag = "apps", operation_id = "app_run",
    params(("id" = String, Path, format = Uuid)), request_body = RunCommand,
    responses((status = 200, body = StreamEvent, content_type = "text/event-stream"), Refusals)
)]
pub async fn run(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(command): JsonBody<RunCommand>,
) -> Result<Response, Refused> {
    let (command, _held) = command.apart();
    let app = app_id(&id)?;
    let timeout = exec_request::timeout(command.timeout_seconds)?;
    let argv = exec_request::argv("command", command.command)?;
    let (sandbox, exec) = api.deploy.app_command(caller.org, app, argv, timeout).await?;
    let guest = api.sandboxes.guest(caller.org, sandbox).await?;
    let events = guest
        .exec_stream(exec, ExecInput::Empty)
        .await
        .map_err(|error| exec_request::failed("command", error))?;
    Ok(sse::response(messages(events, timeout, "command")))
}
