//! Server-sent events, in the shape that public clients read.
//!
//! A client in wide use decodes the stream as Latin-1 unless the content type
//! names UTF-8, and splits it where Python's `str.splitlines` does, which is at
//! more than `\n`. So JSON is sent as ASCII, raw lines are cut where that client
//! would cut them, and the content type names its charset.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::iter;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use pando_types::PublicError;
use serde::Serialize;
use utoipa::ToSchema;

/// How often a silent stream sends a comment, so that no proxy takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One event: its name, where it has one, and one line of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    name: Option<&'static str>,
    data: String,
    id: Option<u64>,
}

impl Message {
    /// A named event whose data is `value` as JSON.
    pub fn json(name: &'static str, value: &impl Serialize) -> Self {
        Self { name: Some(name), data: ascii_json(value), id: None }
    }

    /// The same with a number, which a client that comes back names as the last it saw.
    pub fn with_id(self, id: u64) -> Self {
        Self { id: Some(id), ..self }
    }

    /// A nameless event whose data is `value` as JSON.
    pub fn data(value: &impl Serialize) -> Self {
        Self { name: None, data: ascii_json(value), id: None }
    }

    /// What a stream ends with that breaks off: its status is long sent.
    pub fn error(error: &PublicError) -> Self {
        Self::json("error", &error.body())
    }

    /// Log lines as nameless events. A line that would read as the end of the
    /// stream (clients strip it before they compare) gets an invisible tail.
    pub fn lines(text: String) -> impl Iterator<Item = Self> + Send {
        let mut start = Some(0);
        iter::from_fn(move || {
            let rest = text.get(start?..)?;
            let line = rest.split(ends_line).next()?;
            let end = rest.get(line.len()..)?.chars().next();
            start = end.map(|end| text.len() - rest.len() + line.len() + end.len_utf8());
            let tail = if line.trim() == "end" { "\u{200B}" } else { "" };
            Some(Self { name: None, data: format!("{}{tail}", line.trim_end()), id: None })
        })
    }

    /// The event that ends a log.
    pub fn end() -> Self {
        Self { name: None, data: "end".to_owned(), id: None }
    }

    fn into_event(self) -> Event {
        let event = self.name.map_or_else(Event::default, |name| Event::default().event(name));
        let event = match self.id {
            Some(id) => event.id(id.to_string()),
            None => event,
        };
        event.data(self.data)
    }
}

/// One event of a stream, as the document describes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes; `Message` is sent")]
pub struct StreamEvent {
    /// What kind of event it is; absent in logs.
    event: Option<String>,
    /// One line: JSON, or in logs the raw line.
    data: Option<String>,
    /// Its number, where a client may come back with `Last-Event-ID`.
    id: Option<String>,
}

/// The response that sends `messages` as they come.
pub fn response(messages: impl Stream<Item = Message> + Send + 'static) -> Response {
    let events = messages.map(|message| Ok::<_, Infallible>(message.into_event()));
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    let content_type = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    // nginx and its kin hold back a stream unless told not to.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Where `str.splitlines` of Python ends a line.
fn ends_line(character: char) -> bool {
    matches!(
        character,
        '\n' | '\r' | '\x0B' | '\x0C' | '\x1C'..='\x1E' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// JSON whose strings hold `\uXXXX` for all that is not ASCII.
fn ascii_json(value: &impl Serialize) -> String {
    // The values are plain structs of strings and numbers, which always serialise.
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    if json.is_ascii() {
        return json;
    }
    let mut ascii = String::with_capacity(json.len() * 2);
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn sent(messages: Vec<Message>) -> String {
        let response = response(futures_util::stream::iter(messages));
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_event_is_two_lines_and_a_blank_one() {
        let chunk = Message::json("stdout", &json!({"chunk": "a\r\n\u{85}€🌳"}));
        let exit = Message::json("exit", &json!({"exit_code": 0}));
        let want = "event: stdout\n\
                    data: {\"chunk\":\"a\\r\\n\\u0085\\u20ac\\ud83c\\udf33\"}\n\n\
                    event: exit\n\
                    data: {\"exit_code\":0}\n\n";
        assert_eq!(sent(vec![chunk, exit]).await, want);
    }

    #[tokio::test]
    async fn log_lines_are_raw_and_only_the_end_ends() {
        let mut messages: Vec<_> = Message::lines("installing\u{2028}näh".into()).collect();
        messages.extend(Message::lines("  end ".into()));
        messages.extend(Message::lines("10%\r20%".into()));
        messages.push(Message::end());
        let want = "data: installing\n\ndata: näh\n\ndata:   end\u{200B}\n\n\
                    data: 10%\n\ndata: 20%\n\ndata: end\n\n";
        assert_eq!(sent(messages).await, want);
        assert_eq!(Message::lines("\n".into()).count(), 2);
    }
}
