//! `GET /v1/sandboxes/{id}/exec/pty`, and the same as `/ssh`.

use std::collections::BTreeMap;
use std::pin::pin;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use pando_guest_protocol::terminal::{Size, Terminal};
use pando_node::guest::{TerminalEvent, TerminalInput, TerminalOutput};
use pando_types::PublicError;
use pando_types::limits::{MAX_TERM_BYTES, MAX_TERMINAL_COMMAND_BYTES, MAX_TERMINAL_SIDE};
use pando_types::sandbox::Command;
use pando_types::schema::value::{
    GuestPath, TerminalCommand, TerminalName, TerminalSide, UserName,
};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::{exec_request, guest};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::query;
use crate::refusal::{Refused, guest_failed};
use crate::refusals::Refusals;
use crate::socket::{self, Gone, Handshake, Heard, Receiver, Sender};

/// Complaints about what the client says that wait to be sent.
const COMPLAINTS_WAITING: usize = 4;

/// What the routes take.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes; `terminal` reads")]
pub struct Asked {
    /// Lines; default 24.
    #[param(value_type = Option<TerminalSide>, inline)]
    rows: Option<u16>,
    /// Characters a line; default 80.
    #[param(value_type = Option<TerminalSide>, inline)]
    cols: Option<u16>,
    /// A shell command; default the user's shell.
    #[param(value_type = Option<TerminalCommand>, inline)]
    cmd: Option<String>,
    /// Working directory; default the user's home.
    #[param(value_type = Option<GuestPath>, inline)]
    cwd: Option<String>,
    /// The user's name or number; default root.
    #[param(value_type = Option<UserName>, inline)]
    user: Option<String>,
    /// `TERM`; default `xterm-256color`.
    #[param(value_type = Option<TerminalName>, inline)]
    term: Option<String>,
}

/// A program on a terminal of its own, over a WebSocket.
///
/// Binary messages are bytes in both directions. Text messages are JSON: in, `{"resize": {"rows",
/// "cols"}}` and `{"stdin"}`; out, `{"exit"}` before the end, or `{"error"}`. Closing the
/// WebSocket hangs the terminal up: what should outlive it is started with `setsid`. A browser
/// gives its key as `access_token`.
#[utoipa::path(
    get, path = "/sandboxes/{id}/exec/pty", tag = "sandboxes", operation_id = "sandbox_pty",
    params(("id" = String, Path, format = Uuid), Asked),
    responses((status = 101, description = "The WebSocket begins"), Refusals)
)]
pub async fn pty(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    RawQuery(query): RawQuery,
    handshake: Handshake,
) -> Result<Response, Refused> {
    begin(&api, &caller, &id, query.as_deref(), handshake).await
}

/// The same as `exec/pty`, under the name that some clients know.
#[utoipa::path(
    get, path = "/sandboxes/{id}/ssh", tag = "sandboxes", operation_id = "sandbox_ssh",
    params(("id" = String, Path, format = Uuid), Asked),
    responses((status = 101, description = "The WebSocket begins"), Refusals)
)]
pub async fn ssh(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    RawQuery(query): RawQuery,
    handshake: Handshake,
) -> Result<Response, Refused> {
    begin(&api, &caller, &id, query.as_deref(), handshake).await
}

async fn begin(
    api: &Api,
    caller: &Caller,
    id: &str,
    query: Option<&str>,
    handshake: Handshake,
) -> Result<Response, Refused> {
    let terminal = terminal(query)?;
    let guest = guest(api, caller, id).await?;
    let upgrade = handshake.asked()?;
    let (input, output) = guest.terminal(terminal).await.map_err(guest_failed)?;
    Ok(upgrade.begin(|sender, receiver| serve(sender, receiver, input, output)))
}

/// The terminal that a query asks for.
fn terminal(query: Option<&str>) -> Result<Terminal, PublicError> {
    let text = |name| query::value(query, name);
    let side = |name| query::number(query, name, 1..=MAX_TERMINAL_SIDE);
    let (cwd, user) = (text("cwd")?, text("user")?);
    exec_request::check_surroundings(cwd.as_deref(), user.as_deref(), &BTreeMap::new())?;
    let term = text("term")?.map(term).transpose()?;
    let standard = Size::default();
    let size = Size {
        rows: side("rows")?.unwrap_or(standard.rows),
        cols: side("cols")?.unwrap_or(standard.cols),
    };
    let env = term.map(|term| ("TERM".to_owned(), term)).into_iter().collect();
    let argv = text("cmd")?.map(argv).transpose()?.unwrap_or_default();
    Ok(Terminal { argv, cwd, env, user, size })
}

fn term(name: String) -> Result<String, PublicError> {
    let fits = (1..=MAX_TERM_BYTES).contains(&name.len());
    if !fits || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("`term` must be 1 to {MAX_TERM_BYTES} visible ASCII characters");
        return Err(PublicError::invalid("term", message));
    }
    Ok(name)
}

fn argv(command: String) -> Result<Vec<String>, PublicError> {
    if command.len() > MAX_TERMINAL_COMMAND_BYTES {
        let message = format!(
            "`cmd` is {} bytes long; the most is {MAX_TERMINAL_COMMAND_BYTES}",
            command.len()
        );
        return Err(PublicError::invalid("cmd", message));
    }
    exec_request::argv("cmd", Command::Shell(command))
}

/// Serves a terminal until its program ends or its client leaves; dropping both its
/// ends hangs it up.
async fn serve(sender: Sender, receiver: Receiver, input: TerminalInput, output: TerminalOutput) {
    let (complaints, to_send) = mpsc::channel(COMPLAINTS_WAITING);
    tokio::select! {
        () = pass_in(receiver, input, complaints) => {}
        () = pass_out(sender, output, to_send) => {}
    }
}

async fn pass_out(
    mut sender: Sender,
    output: TerminalOutput,
    mut complaints: mpsc::Receiver<PublicError>,
) {
    // An unfold keeps its place when it is not waited for to the end.
    let mut events = pin!(stream::unfold(output, |mut output| async {
        let event = output.next().await;
        Some((event, output))
    }));
    let mut pings = socket::pings();
    loop {
        let sent = tokio::select! {
            event = events.next() => match event {
                Some(Ok(TerminalEvent::Output(bytes))) => sender.bytes(bytes).await,
                Some(Ok(TerminalEvent::Exit(done))) => {
                    let _ = sender.json(&json!({"exit": done.exit_code})).await;
                    return sender.close().await;
                }
                Some(Err(error)) => {
                    let error = exec_request::failed("cmd", error).into_error();
                    let _ = sender.json(&json!(error.body())).await;
                    return sender.close().await;
                }
                None => return,
            },
            Some(error) = complaints.recv() => sender.json(&json!(error.body())).await,
            _ = pings.tick() => sender.ping().await,
        };
        if sent == Err(Gone) {
            return;
        }
    }
}

async fn pass_in(
    mut receiver: Receiver,
    mut input: TerminalInput,
    complaints: mpsc::Sender<PublicError>,
) {
    while let Some(heard) = receiver.next().await {
        let done = match heard {
            Heard::Bytes(bytes) => input.type_in(&bytes).await,
            Heard::Text(text) => match said(&text) {
                Ok(Said { resize: Some(size), .. }) => input.resize(size).await,
                Ok(Said { stdin: Some(typed), .. }) => input.type_in(typed.as_bytes()).await,
                Ok(_) => Ok(()),
                // Where complaints wait already, one more would say nothing new.
                Err(error) => {
                    let _ = complaints.try_send(error);
                    Ok(())
                }
            },
        };
        if done.is_err() {
            return;
        }
    }
}

/// What a text message asks.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Said {
    #[serde(default)]
    resize: Option<Size>,
    #[serde(default)]
    stdin: Option<String>,
}

fn said(text: &str) -> Result<Said, PublicError> {
    let wrong = |what: String| {
        PublicError::invalid("message", format!("the message is not understood: {what}")).hint(
            "text is {\"resize\":{\"rows\":…,\"cols\":…}} or {\"stdin\":\"…\"}; bytes are typed",
        )
    };
    let said: Said = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    match said {
        Said { resize: None, stdin: None } => Err(wrong("it asks nothing".to_owned())),
        Said { resize: Some(size), .. }
            if !(1..=MAX_TERMINAL_SIDE).contains(&size.rows)
                || !(1..=MAX_TERMINAL_SIDE).contains(&size.cols) =>
        {
            Err(wrong(format!("rows and cols must be 1 to {MAX_TERMINAL_SIDE}")))
        }
        said => Ok(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_makes_a_terminal() {
        let plain = terminal(None).unwrap();
        assert!(plain.argv.is_empty() && plain.env.is_empty());
        assert_eq!(plain.size, Size { rows: 24, cols: 80 });
        let query = "rows=50&cols=132&cmd=top+-b&user=app&cwd=/srv&term=dumb&access_token=x";
        let full = terminal(Some(query)).unwrap();
        assert_eq!(full.argv, ["/bin/sh", "-c", "top -b"]);
        assert_eq!(full.size, Size { rows: 50, cols: 132 });
        assert_eq!(full.env["TERM"], "dumb");
        let long = format!("cmd={}", "x".repeat(MAX_TERMINAL_COMMAND_BYTES + 1));
        assert!(terminal(Some(&long[..long.len() - 1])).is_ok());
        let long_term = format!("term={}", "x".repeat(MAX_TERM_BYTES + 1));
        assert!(terminal(Some(&long_term[..long_term.len() - 1])).is_ok());
        for (query, field) in [
            (long.as_str(), "cmd"),
            (&long_term, "term"),
            ("term=", "term"),
            ("term=a+b", "term"),
            ("rows=0", "rows"),
            ("cols=1001", "cols"),
            ("cols=x", "cols"),
            ("cwd=relative", "cwd"),
            ("user=", "user"),
            ("cmd=", "cmd"),
            ("term=a%00b", "term"),
        ] {
            let error = terminal(Some(query)).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(field), "{query}");
        }
    }

    #[test]
    fn a_message_resizes_or_types() {
        let size = Size { rows: 1, cols: 2 };
        assert_eq!(said(r#"{"resize":{"rows":1,"cols":2}}"#).unwrap().resize, Some(size));
        assert_eq!(said(r#"{"stdin":"ls\r"}"#).unwrap().stdin.as_deref(), Some("ls\r"));
        for bad in
            ["", "x", "[]", "{}", r#"{"resize":{"rows":0,"cols":1}}"#, r#"{"resize":{"rows":-1}}"#]
        {
            assert!(said(bad).is_err(), "{bad}");
        }
    }
}
