//! What a message of the multiplexed connection asks, pure.

use std::fmt;

use axum::body::Bytes;
use pando_node::guest::ExecSay;
use pando_types::PublicError;
use pando_types::sandbox::ExecCommand;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest id.
const MAX_ID_BYTES: usize = 64;
/// Signals by name, and their numbers on Linux.
const SIGNALS: [(&str, i32); 11] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("WINCH", 28),
];

/// What a client calls a command by: a text or a number, given back as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandId {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

impl Default for CommandId {
    /// Of what was said about no command.
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// What is asked.
#[derive(Debug)]
pub enum Ask {
    /// Run this.
    Start(Box<Start>),
    /// Kill it and all it started.
    Cancel,
    /// Tell it this.
    Say(Vec<ExecSay>),
}

/// A command to start.
#[derive(Debug)]
pub struct Start {
    /// What to run.
    pub command: ExecCommand,
    /// Whether its standard input stays open for more.
    pub open_stdin: bool,
    /// What its output comes as.
    pub form: Form,
}

/// What a command's output comes as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON: bytes that are no UTF-8 become U+FFFD.
    Text,
    /// A line of JSON, and the bytes as they are.
    Bytes,
}

#[derive(Debug, Deserialize)]
struct Fields {
    #[serde(default)]
    open_stdin: bool,
    #[serde(default)]
    bytes: bool,
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default)]
    eof: bool,
    #[serde(default)]
    cancel: bool,
    #[serde(default)]
    signal: Option<String>,
}

/// Reads a message; an error comes with the id where there is one.
pub fn read(text: &str) -> Result<(CommandId, Ask), (Option<CommandId>, PublicError)> {
    let wrong = |what: &dyn fmt::Display| {
        PublicError::invalid("message", format!("the message is not understood: {what}"))
    };
    let message: Value = serde_json::from_str(text).map_err(|error| (None, wrong(&error)))?;
    let id = id_of(&message).map_err(|error| (None, error))?;
    ask(message).map(|ask| (id.clone(), ask)).map_err(|error| (Some(id), error))
}

/// Reads a binary message: a line of JSON that names a command, and input for it.
pub fn read_bytes(message: Bytes) -> Result<(CommandId, Ask), PublicError> {
    let wrong = "a binary message is {\"id\":…}, a newline, and bytes of its standard input";
    let wrong = || PublicError::invalid("message", wrong);
    let end = message.iter().position(|byte| *byte == b'\n').ok_or_else(wrong)?;
    let head: Value = serde_json::from_slice(&message[..end]).map_err(|_| wrong())?;
    Ok((id_of(&head)?, Ask::Say(vec![ExecSay::Input(message.slice(end + 1..))])))
}

/// A binary message: what text would say beside the bytes, a newline, and the bytes.
pub fn with_bytes(head: &Value, bytes: &[u8]) -> Bytes {
    let mut message = head.to_string().into_bytes();
    message.push(b'\n');
    message.extend_from_slice(bytes);
    message.into()
}

fn id_of(message: &Value) -> Result<CommandId, PublicError> {
    let id = message.get("id").cloned().unwrap_or_default();
    let id: Option<CommandId> = serde_json::from_value(id).ok();
    id.filter(|id| (1..=MAX_ID_BYTES).contains(&id.to_string().len())).ok_or_else(|| {
        let text = format!("`id` must be a text of 1 to {MAX_ID_BYTES} bytes, or a number");
        PublicError::invalid("id", text)
    })
}

fn ask(message: Value) -> Result<Ask, PublicError> {
    let wrong = |error: serde_json::Error| {
        PublicError::invalid("message", format!("the message is not understood: {error}"))
    };
    let fields = Fields::deserialize(&message).map_err(wrong)?;
    if message.get("cmd").is_some() {
        let command = ExecCommand::deserialize(&message).map_err(wrong)?;
        let form = if fields.bytes { Form::Bytes } else { Form::Text };
        let open_stdin = fields.open_stdin;
        return Ok(Ask::Start(Box::new(Start { command, open_stdin, form })));
    }
    if fields.cancel {
        return Ok(Ask::Cancel);
    }
    let mut said = Vec::new();
    said.extend(fields.stdin.map(|text| ExecSay::Input(Bytes::from(text))));
    if fields.eof {
        said.push(ExecSay::End);
    }
    if let Some(name) = fields.signal {
        said.push(ExecSay::Signal(signal(&name)?));
    }
    if said.is_empty() {
        let message = "a message has one of `cmd`, `stdin`, `eof`, `signal`, `cancel`";
        return Err(PublicError::invalid("message", message));
    }
    Ok(Ask::Say(said))
}

fn signal(name: &str) -> Result<i32, PublicError> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = SIGNALS.iter().find(|(known, _)| *known == short).map(|(_, number)| *number);
    found.ok_or_else(|| {
        let names = SIGNALS.map(|(name, _)| name).join(", ");
        PublicError::invalid("signal", format!("`signal` must be one of {names}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<ExecSay> {
        match read(text).unwrap().1 {
            Ask::Say(said) => said,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_are_told_apart_by_their_fields() {
        let (id, start) = read(r#"{"id":"a","cmd":"cat","open_stdin":true,"stdin":"x"}"#).unwrap();
        assert_eq!(id, CommandId::Text("a".into()));
        let Ask::Start(start) = start else { panic!("{start:?}") };
        assert!(start.open_stdin && start.command.stdin.as_deref() == Some("x"));
        assert!(matches!(
            read(r#"{"id":7,"cancel":true}"#).unwrap(),
            (CommandId::Number(7), Ask::Cancel)
        ));
        let input = ExecSay::Input(Bytes::from_static(b"x"));
        assert_eq!(said(r#"{"id":"a","stdin":"x","eof":true}"#), [input, ExecSay::End]);
        for name in ["INT", "sigint", "SIGINT"] {
            assert_eq!(said(&format!(r#"{{"id":"a","signal":"{name}"}}"#)), [ExecSay::Signal(2)]);
        }
    }

    #[test]
    fn bytes_travel_behind_a_line_that_names_their_command() {
        let message = with_bytes(&serde_json::json!({"id": 7}), b"\xFF\n\0");
        assert_eq!(&message[..], b"{\"id\":7}\n\xFF\n\0");
        let (id, Ask::Say(said)) = read_bytes(message).unwrap() else { panic!("no input") };
        assert_eq!(id, CommandId::Number(7));
        assert_eq!(said, [ExecSay::Input(Bytes::from_static(b"\xFF\n\0"))]);
        for bad in ["", "x", "{\"id\":7}", "{}\nx", "\nx", "{\"id\":[]}\n"] {
            assert!(read_bytes(Bytes::from(bad)).is_err(), "{bad}");
        }
        let form = |text: &str| match read(text).unwrap().1 {
            Ask::Start(start) => start.form,
            other => panic!("{other:?}"),
        };
        assert_eq!(form(r#"{"id":"a","cmd":"x"}"#), Form::Text);
        assert_eq!(form(r#"{"id":"a","cmd":"x","bytes":true}"#), Form::Bytes);
    }

    #[test]
    fn what_is_not_understood_keeps_its_id() {
        let long = format!(r#"{{"id":"{}","cmd":"x"}}"#, "a".repeat(65));
        for bad in ["", "x", "[]", "{}", r#"{"id":""}"#, r#"{"id":[],"cmd":"x"}"#, &long] {
            assert!(read(bad).unwrap_err().0.is_none(), "{bad}");
        }
        for bad in [
            r#"{"id":"a"}"#,
            r#"{"id":"a","cmd":7}"#,
            r#"{"id":"a","cmd":"x","timeout_seconds":"soon"}"#,
            r#"{"id":"a","signal":"NOPE"}"#,
            r#"{"id":"a","stdin":7}"#,
            r#"{"id":"a","cancel":false}"#,
        ] {
            assert_eq!(read(bad).unwrap_err().0, Some(CommandId::Text("a".into())), "{bad}");
        }
    }
}
