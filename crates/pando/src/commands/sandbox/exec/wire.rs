//! One command on the multiplexed connection, as messages. Pure.

use pando_types::sandbox::ExecCommand;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Said;
use crate::error::Failure;

/// The connection's only command.
const ID: u8 = 0;

/// What starts it.
pub fn start(command: &ExecCommand) -> Result<Value, Failure> {
    let mut message = serde_json::to_value(command).map_err(anyhow::Error::new)?;
    message["id"] = json!(ID);
    message["open_stdin"] = json!(true);
    message["bytes"] = json!(true);
    Ok(message)
}

/// Input.
pub fn input(bytes: &[u8]) -> Vec<u8> {
    let mut message = format!("{}\n", json!({ "id": ID })).into_bytes();
    message.extend_from_slice(bytes);
    message
}

/// The end of it.
pub fn end_of_input() -> Value {
    json!({"id": ID, "eof": true})
}

/// Ctrl-C.
pub fn interrupt() -> Value {
    json!({"id": ID, "signal": "INT"})
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub code: i32,
    pub duration_ms: u64,
}

/// What the server says of it.
#[derive(Debug)]
pub enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// So many inputs are with the sandbox.
    Taken(u64),
    Exit(End),
    Failed(Failure),
    /// Something that a newer server says.
    Nothing,
}

#[derive(Deserialize)]
struct Fields {
    stream: Option<String>,
    taken: Option<u64>,
    exit: Option<i32>,
    #[serde(default)]
    duration_ms: u64,
    error: Option<String>,
    code: Option<String>,
    hint: Option<String>,
}

/// What a message says.
pub fn event(said: Said) -> Result<Event, Failure> {
    let wrong = |error: serde_json::Error| {
        Failure::from(anyhow::Error::new(error).context("the server's message is not understood"))
    };
    match said {
        Said::Bytes(mut message) => {
            let end = message.iter().position(|byte| *byte == b'\n').unwrap_or(message.len());
            let head = message.get(..end).unwrap_or_default();
            let fields: Fields = serde_json::from_slice(head).map_err(wrong)?;
            let bytes = message.split_off(message.len().min(end + 1));
            Ok(match fields.stream.as_deref() {
                Some("stdout") => Event::Stdout(bytes),
                Some("stderr") => Event::Stderr(bytes),
                _ => Event::Nothing,
            })
        }
        Said::Json(value) => {
            let fields: Fields = serde_json::from_value(value).map_err(wrong)?;
            Ok(match fields {
                Fields { error: Some(error), code, hint, .. } => {
                    Event::Failed(failed(error, code.as_deref(), hint))
                }
                Fields { exit: Some(code), duration_ms, .. } => {
                    Event::Exit(End { code, duration_ms })
                }
                Fields { taken: Some(taken), .. } => Event::Taken(taken),
                _ => Event::Nothing,
            })
        }
    }
}

fn failed(error: String, code: Option<&str>, hint: Option<String>) -> Failure {
    let hint = match (code, hint) {
        (Some("timeout"), _) => "--timeout SECONDS gives it more".to_owned(),
        (_, Some(hint)) => hint,
        (Some("invalid_request"), None) => {
            "`pando sandbox exec ID -- sh -c 'command -v PROGRAM; id; pwd'` looks around there"
                .to_owned()
        }
        _ => "`pando sandbox ls` shows whether the sandbox lives".to_owned(),
    };
    Failure::new(anyhow::Error::msg(error), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_understood() {
        let bytes = |text: &[u8]| event(Said::Bytes(text.to_vec())).unwrap();
        let said = |value| event(Said::Json(value)).unwrap();
        let Event::Stdout(out) = bytes(b"{\"id\":0,\"stream\":\"stdout\"}\n\xFF\n\0") else {
            panic!("not stdout")
        };
        assert_eq!(out, b"\xFF\n\0");
        assert!(
            matches!(bytes(b"{\"id\":0,\"stream\":\"stderr\"}\n"), Event::Stderr(b) if b.is_empty())
        );
        assert!(matches!(bytes(b"{\"id\":0,\"stream\":\"new in 2030\"}"), Event::Nothing));
        let Event::Exit(end) = said(json!({"id": 0, "exit": 3, "duration_ms": 5})) else {
            panic!("no exit")
        };
        assert_eq!(end, End { code: 3, duration_ms: 5 });
        assert!(matches!(said(json!({"id": 0, "taken": 7})), Event::Taken(7)));
        assert!(matches!(
            said(json!({"id": 0, "error": "x", "code": "timeout"})),
            Event::Failed(_)
        ));
        assert!(matches!(said(json!({"id": 0, "new": true})), Event::Nothing));
        assert!(event(Said::Bytes(b"no json\n".to_vec())).is_err());
        assert!(event(Said::Json(json!({"exit": "soon"}))).is_err());
    }

    #[test]
    fn input_is_as_it_is_behind_the_commands_name() {
        assert_eq!(input(b"\xFF\n"), b"{\"id\":0}\n\xFF\n");
    }
}
