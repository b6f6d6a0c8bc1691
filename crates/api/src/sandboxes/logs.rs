//! `GET /v1/sandboxes/{id}/logs`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::TryStreamExt;
use pando_guest_protocol::log::{LogLines, LogQuery, Output, Whose};
use pando_node::guest::LogStream;
use pando_types::PublicError;
use pando_types::limits::{MAX_LOG_SINCE_SECS, MAX_LOG_TAIL};
use pando_types::schema::value::{LogOutput, LogSince, LogTail};
use serde_json::json;
use utoipa::IntoParams;

use super::guest;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::guest_log::{begun, each, events, joined, name, time, whole};
use crate::query;
use crate::refusal::{Refused, guest_failed};
use crate::refusals::Refusals;
use crate::sse::{Message, StreamEvent};

/// What the route takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes; `wanted` reads")]
pub struct Asked {
    /// `both` (default), `stdout` or `stderr`.
    #[param(value_type = Option<LogOutput>, inline)]
    stream: Option<String>,
    /// Whether to go on with what comes.
    follow: Option<bool>,
    /// Of what is kept, only the last so many lines.
    #[param(value_type = Option<LogTail>, inline)]
    tail: Option<usize>,
    /// Of what is kept, only what came since this time, in Unix seconds.
    #[param(value_type = Option<LogSince>, inline)]
    since: Option<f64>,
    /// Whether each line of text begins with its time.
    timestamps: Option<bool>,
}

/// What commands have said in a sandbox, and the processes of an app: the last lines of all that were run, streamed or left running.
///
/// The sandbox keeps the last 2 MiB, and 1 MiB of each process of an app; what is typed and shown at a terminal is not in it. With
/// `follow=true` it is a stream of server-sent events, each `{"line", "stream", "time", "pid"}`,
/// that goes on with what comes, until the sandbox ends, or with an `error` event if the sandbox's
/// agent fails; else it is lines of text.
#[utoipa::path(
    get, path = "/sandboxes/{id}/logs", tag = "sandboxes", operation_id = "sandbox_logs",
    params(("id" = String, Path, format = Uuid), Asked),
    responses((status = 200, content(
        (String = "text/plain"), (StreamEvent = "text/event-stream"),
    )), Refusals)
)]
pub async fn logs(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = query.as_deref();
    let wanted = wanted(query)?;
    let timestamps = query::switch(query, "timestamps")?;
    let follow = wanted.follow;
    let lines = guest(&api, &caller, &id).await?.logs(wanted).await.map_err(guest_failed)?;
    if follow {
        return Ok(events(lines, events_of));
    }
    Ok(text(begun(lines).await.map_err(guest_failed)?, timestamps))
}

fn wanted(query: Option<&str>) -> Result<LogQuery, PublicError> {
    let output = match query::value(query, "stream")?.as_deref() {
        None | Some("both") => None,
        Some("stdout") => Some(Output::Stdout),
        Some("stderr") => Some(Output::Stderr),
        Some(_) => {
            let message = "`stream` must be `both`, `stdout` or `stderr`";
            return Err(PublicError::invalid("stream", message));
        }
    };
    let since = query::number(query, "since", 0.0..=MAX_LOG_SINCE_SECS)?;
    Ok(LogQuery {
        whose: Whose::All,
        output,
        tail: query::number(query, "tail", 0..=MAX_LOG_TAIL)?,
        // In range, so the cast loses nothing but a fraction of a millisecond.
        since_ms: since.map(|secs| (secs * 1000.0) as u64),
        follow: query::switch(query, "follow")?,
    })
}

fn events_of(lines: LogLines) -> impl Iterator<Item = Message> + Send {
    let (stream, time, pid) = (name(lines.output), time(&lines), lines.pid);
    let event = move |line| json!({"line": line, "stream": stream, "time": time, "pid": pid});
    each(lines.text).map(move |line| Message::data(&event(line)))
}

fn text(lines: LogStream, timestamps: bool) -> Response {
    let rows = lines.map_ok(move |lines| rows(lines, timestamps));
    whole(joined(rows), "text/plain; charset=utf-8")
}

fn rows(lines: LogLines, timestamps: bool) -> impl Iterator<Item = Vec<u8>> + Send {
    let start = match timestamps {
        true => format!("{} {} ", time(&lines), name(lines.output)),
        false => String::new(),
    };
    each(lines.text).map(move |line| format!("{start}{line}\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use pando_guest_protocol::frame::FrameError;
    use pando_node::guest::GuestError;

    use super::*;

    #[tokio::test]
    async fn a_sandbox_that_has_said_nothing_has_an_empty_log() {
        let nothing = stream::unfold((), async |()| None).boxed();
        let response = text(begun(nothing).await.unwrap(), false);
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        assert!(body.is_empty());
    }

    #[test]
    fn a_query_says_which_lines() {
        assert_eq!(wanted(None).unwrap(), LogQuery::default());
        let query = "stream=stderr&follow=true&tail=10&since=1.5";
        let want = LogQuery {
            whose: Whose::All,
            output: Some(Output::Stderr),
            tail: Some(10),
            since_ms: Some(1500),
            follow: true,
        };
        assert_eq!(wanted(Some(query)).unwrap(), want);
        assert!(wanted(Some("follow=1&stream=both")).unwrap().follow);
        for (query, field) in [
            ("stream=x", "stream"),
            ("tail=-1", "tail"),
            ("tail=100001", "tail"),
            ("since=yesterday", "since"),
            ("since=-1", "since"),
            ("since=100000000001", "since"),
            ("since=NaN", "since"),
            ("follow=maybe", "follow"),
        ] {
            assert_eq!(wanted(Some(query)).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
    }

    fn coming(lines: impl IntoIterator<Item = Result<LogLines, GuestError>>) -> LogStream {
        stream::iter(lines.into_iter().collect::<Vec<_>>()).boxed()
    }

    fn line() -> Result<LogLines, GuestError> {
        let text = "hello".to_owned();
        Ok(LogLines { time_ms: 0, output: Output::Stdout, pid: 7, process: None, text })
    }

    fn broken() -> Result<LogLines, GuestError> {
        Err(GuestError::Frame(FrameError::Ended))
    }

    async fn body(response: Response) -> Result<String, axum::Error> {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_guest_that_fails_is_told_by_the_status_until_there_is_a_line() {
        let Err(error) = begun(coming([broken()])).await else { panic!("it begins") };
        assert_eq!(guest_failed(error).into_error().code.status(), 502);
        // Then only by the end of what was begun.
        let lines = begun(coming([line(), broken()])).await.unwrap();
        assert!(body(text(lines, false)).await.is_err());
        let lines = begun(coming([line(), line()])).await.unwrap();
        assert_eq!(body(text(lines, false)).await.unwrap(), "hello\nhello\n");
        let nothing = begun(coming([])).await.unwrap();
        assert_eq!(body(text(nothing, false)).await.unwrap(), "");
    }

    #[tokio::test]
    async fn what_is_followed_and_fails_ends_with_an_error() {
        for lines in [vec![broken()], vec![line(), broken()]] {
            let said = body(events(coming(lines), events_of)).await.unwrap();
            let last = said.trim_end().rsplit("\n\n").next().unwrap();
            assert!(last.starts_with("event: error\ndata: {"), "{said}");
            assert!(last.contains("\"guest_failed\""), "{said}");
        }
        let said = body(events(coming([line()]), events_of)).await.unwrap();
        assert!(!said.contains("event: error"), "{said}");
    }

    #[test]
    fn a_line_as_text_and_as_an_event() {
        let text = "näh\r\n".to_owned();
        let lines = LogLines { time_ms: 250, output: Output::Stderr, pid: 7, process: None, text };
        let rows = |timestamps| {
            let text = rows(lines.clone(), timestamps).flatten().collect();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(rows(false), "näh\r\n\n");
        let start = "1970-01-01T00:00:00.250Z stderr ";
        assert_eq!(rows(true), format!("{start}näh\r\n{start}\n"));
        let want = |line: &str| {
            let time = "1970-01-01T00:00:00.250Z";
            Message::data(&json!({"line": line, "stream": "stderr", "time": time, "pid": 7}))
        };
        let events: Vec<_> = events_of(lines.clone()).collect();
        assert_eq!(events, [want("näh\r"), want("")]);
    }
}
