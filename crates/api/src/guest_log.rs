//! What guests said, on its way to a client: as events, or as it stands.

use std::iter;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::future::Either;
use futures_util::{Stream, StreamExt, stream};
use pando_guest_protocol::log::{LogLines, Output};
use pando_node::guest::{GuestError, LogStream};
use pando_types::Timestamp;

use crate::answer::pieces;
use crate::refusal::guest_failed;
use crate::sse::{self, Message};

/// The same lines, once the first of them are there: a guest that fails before is told
/// by the status.
pub async fn begun(mut lines: LogStream) -> Result<LogStream, GuestError> {
    Ok(match lines.next().await.transpose()? {
        Some(first) => stream::iter([Ok(first)]).chain(lines).boxed(),
        // It has ended, and must not be asked again.
        None => stream::empty().boxed(),
    })
}

/// Server-sent events that `events_of` makes of lines. If the guest fails midway, the last is an
/// error.
pub fn events<I>(lines: LogStream, events_of: impl Fn(LogLines) -> I + Send + 'static) -> Response
where
    I: Iterator<Item = Message> + Send + 'static,
{
    let messages = lines.flat_map(move |lines| match lines {
        Ok(lines) => Either::Left(stream::iter(events_of(lines))),
        Err(error) => {
            Either::Right(stream::iter([Message::error(&guest_failed(error).into_error())]))
        }
    });
    sse::response(messages)
}

/// Texts of lines, put together where they are short.
pub fn joined<I>(
    texts: impl Stream<Item = Result<I, GuestError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, GuestError>> + Send + 'static
where
    I: Iterator<Item = Vec<u8>> + Send + 'static,
{
    texts.flat_map(|texts| match texts {
        Ok(texts) => Either::Left(stream::iter(pieces(texts).map(Ok))),
        Err(error) => Either::Right(stream::iter([Err(error)])),
    })
}

/// One text, as it comes. If the guest fails midway, the response breaks off without its end.
pub fn whole(
    text: impl Stream<Item = Result<Bytes, GuestError>> + Send + 'static,
    content_type: &'static str,
) -> Response {
    let mut response = Response::new(Body::from_stream(text));
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// An output as it stands in a line.
pub fn name(output: Output) -> &'static str {
    match output {
        Output::Stdout => "stdout",
        Output::Stderr => "stderr",
    }
}

/// When a line was said.
pub fn time(line: &LogLines) -> String {
    Timestamp::from_millis(i64::try_from(line.time_ms).unwrap_or(i64::MAX)).to_rfc3339()
}

/// The lines of a text, made one by one: a text of newlines alone would become a
/// hundred times as long.
pub fn each(text: String) -> impl Iterator<Item = String> + Send {
    let mut start = Some(0);
    iter::from_fn(move || {
        let rest = text.get(start?..)?;
        let line = rest.split('\n').next()?;
        start = (line.len() < rest.len()).then_some(text.len() - rest.len() + line.len() + 1);
        Some(line.to_owned())
    })
}
