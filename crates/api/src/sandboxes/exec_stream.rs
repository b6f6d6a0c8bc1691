//! `POST /v1/sandboxes/{id}/exec/stream`.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures_util::{Stream, StreamExt, stream};
use pando_guest_protocol::session::ExecDone;
use pando_node::guest::{ExecEvent, GuestError};
use pando_types::PublicError;
use pando_types::sandbox::ExecCommand;
use serde_json::json;

use super::{exec_request, guest};
use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sse::{self, Message, StreamEvent};
use crate::utf8::Utf8Pieces;

/// Runs a command and sends its output as it comes, as server-sent events.
///
/// `stdout` and `stderr` events hold `{"chunk"}`; the last event is `exit` with
/// `{"exit_code", "duration_ms"}`, or `error` with `{"error", "code"}`. Closing the connection
/// kills the command.
#[utoipa::path(
    post, path = "/sandboxes/{id}/exec/stream", tag = "sandboxes", operation_id = "sandbox_exec_stream", params(("id" = String, Path, format = Uuid)),
    request_body = ExecCommand,
    responses((status = 200, body = StreamEvent, content_type = "text/event-stream"), Refusals)
)]
pub async fn exec_stream(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    JsonBody(command): JsonBody<ExecCommand>,
) -> Result<Response, Refused> {
    let (command, mut held) = command.apart();
    let command = exec_request::check(command)?;
    let guest = guest(&api, &caller, &id).await?;
    let stdin = exec_request::input(command.stdin, &mut held);
    let events = guest
        .exec_stream(command.exec, stdin)
        .await
        .map_err(|error| exec_request::failed("cmd", error))?;
    Ok(sse::response(messages(events, command.timeout, "cmd")))
}

/// The messages of `events`: the last one is `exit` or `error`, always. `program` is what the
/// request calls its command.
pub(crate) fn messages<S>(
    events: S,
    timeout: Duration,
    program: &'static str,
) -> impl Stream<Item = Message> + Send
where
    S: Stream<Item = Result<ExecEvent, GuestError>> + Send + 'static,
{
    let state = (Box::pin(events), Encoder::new(timeout), VecDeque::new());
    stream::unfold(state, move |(mut events, mut encoder, mut queue)| async move {
        loop {
            if let Some(message) = queue.pop_front() {
                return Some((message, (events, encoder, queue)));
            }
            if encoder.ended {
                return None;
            }
            let event = events.next().await.map(|event| {
                event.map_err(|error| exec_request::failed(program, error).into_error())
            });
            queue.extend(encoder.take(event));
        }
    })
}

/// Turns what a command says into messages.
struct Encoder {
    timeout: Duration,
    stdout: Utf8Pieces,
    stderr: Utf8Pieces,
    ended: bool,
}

impl Encoder {
    fn new(timeout: Duration) -> Self {
        let (stdout, stderr) = Default::default();
        Self { timeout, stdout, stderr, ended: false }
    }

    /// The messages of one event; `None` is the end of the stream.
    fn take(&mut self, event: Option<Result<ExecEvent, PublicError>>) -> Vec<Message> {
        match event {
            Some(Ok(ExecEvent::Stdout(piece))) => chunk("stdout", &self.stdout.push(&piece)),
            Some(Ok(ExecEvent::Stderr(piece))) => chunk("stderr", &self.stderr.push(&piece)),
            Some(Ok(ExecEvent::Exit(done))) => self.end(exit(&done, self.timeout)),
            Some(Err(error)) => self.end(Message::error(&error)),
            None => self.end(Message::error(&exec_request::lost())),
        }
    }

    fn end(&mut self, last: Message) -> Vec<Message> {
        self.ended = true;
        let mut messages = chunk("stdout", &self.stdout.finish());
        messages.extend(chunk("stderr", &self.stderr.finish()));
        messages.push(last);
        messages
    }
}

fn chunk(stream: &'static str, text: &str) -> Vec<Message> {
    if text.is_empty() { Vec::new() } else { vec![Message::json(stream, &json!({"chunk": text}))] }
}

fn exit(done: &ExecDone, timeout: Duration) -> Message {
    if done.timed_out {
        return Message::error(&exec_request::timed_out(timeout));
    }
    let body = json!({"exit_code": done.exit_code, "duration_ms": done.duration_ms});
    Message::json("exit", &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;

    fn done(exit_code: i32, timed_out: bool) -> ExecEvent {
        ExecEvent::Exit(ExecDone { exit_code, timed_out, duration_ms: 7 })
    }

    async fn sent(events: Vec<ExecEvent>) -> Vec<Message> {
        let events = stream::iter(events.into_iter().map(Ok));
        messages(events, Duration::from_secs(2), "cmd").collect().await
    }

    #[tokio::test]
    async fn a_character_across_two_pieces_is_not_broken() {
        let got = sent(vec![
            ExecEvent::Stdout(Bytes::from_static(b"\xE2\x82")),
            ExecEvent::Stderr(Bytes::from_static(b"warn\n")),
            ExecEvent::Stdout(Bytes::from_static(b"\xAC\xC3")),
            done(3, false),
        ])
        .await;
        let want = [
            Message::json("stderr", &json!({"chunk": "warn\n"})),
            Message::json("stdout", &json!({"chunk": "€"})),
            Message::json("stdout", &json!({"chunk": "\u{FFFD}"})),
            Message::json("exit", &json!({"exit_code": 3, "duration_ms": 7})),
        ];
        assert_eq!(got, want);
    }

    #[tokio::test]
    async fn a_timeout_ends_in_an_error_that_says_so() {
        let got = sent(vec![done(137, true)]).await;
        assert_eq!(got, [Message::error(&exec_request::timed_out(Duration::from_secs(2)))]);
    }

    #[tokio::test]
    async fn a_lost_agent_is_no_success() {
        let got = sent(vec![ExecEvent::Stdout(Bytes::from_static(b"half"))]).await;
        assert_eq!(got[0], Message::json("stdout", &json!({"chunk": "half"})));
        assert_eq!(got[1], Message::error(&exec_request::lost()));
        assert_eq!(got.len(), 2);
    }
}
