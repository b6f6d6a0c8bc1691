//! `GET /v1/apps/{id}/logs`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use pando_guest_protocol::log::{LogLines, LogQuery, Whose};
use pando_guest_protocol::supervise::is_process_name;
use pando_node::guest::LogStream;
use pando_types::PublicError;
use pando_types::limits::{MAX_LOG_TAIL, MAX_PROCESS_NAME_BYTES};
use pando_types::process::{AppLog, AppLogLine};
use pando_types::schema::value::{LogTail, ProcessName};
use serde_json::json;
use utoipa::IntoParams;

use super::app_id;
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
    /// Only what this process said: `web`, or the name of a line in the Procfile, of a worker or of
    /// a cron. One that what is live does not have is refused with 404.
    #[param(value_type = Option<ProcessName>, inline)]
    process: Option<String>,
    /// Of what is kept, only the last so many lines.
    #[param(value_type = Option<LogTail>, inline)]
    tail: Option<usize>,
    /// Whether to go on with what comes.
    follow: Option<bool>,
}

/// What the processes of a live app have said.
///
/// The app's sandbox keeps the last 1 MiB of each process. `[hidden]` stands where a secret of the
/// app's environment would. With `follow=true` it is a stream of server-sent events, each
/// `{"line", "process", "stream", "time", "at_ms"}`, that goes on with what comes, also when
/// another deployment goes live, which a line of no process says; it ends with the app, or with an
/// `error` event when the app falls asleep or its sandbox's agent fails. Else it is one JSON
/// object. An app that sleeps is woken to read its log, but following it does not keep it awake.
/// One that is not live is refused with 409.
#[utoipa::path(
    get, path = "/apps/{id}/logs", tag = "apps", operation_id = "app_logs",
    params(("id" = String, Path, format = Uuid), Asked),
    responses((status = 200, content(
        (AppLog = "application/json"), (StreamEvent = "text/event-stream"),
    )), Refusals)
)]
pub async fn logs(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let wanted = wanted(query.as_deref())?;
    let follow = wanted.follow;
    let account = api.node.budget().account(Some(caller.org));
    let log = api.deploy.app_log(caller.org, app_id(&id)?, wanted, &account).await?;
    let lines = log.lines().await.map_err(guest_failed)?;
    if follow {
        return Ok(events(lines, events_of));
    }
    Ok(object(begun(lines).await.map_err(guest_failed)?))
}

fn wanted(query: Option<&str>) -> Result<LogQuery, PublicError> {
    let whose = match query::value(query, "process")? {
        None => Whose::Processes,
        Some(name) if is_process_name(&name) => Whose::Process(name),
        Some(_) => {
            let message = format!(
                "`process` is the name of one: a letter, then letters, digits, `_` and `-`; \
                 at most {MAX_PROCESS_NAME_BYTES} of them"
            );
            return Err(PublicError::invalid("process", message));
        }
    };
    Ok(LogQuery {
        whose,
        tail: query::number(query, "tail", 0..=MAX_LOG_TAIL)?,
        follow: query::switch(query, "follow")?,
        ..LogQuery::default()
    })
}

fn events_of(lines: LogLines) -> impl Iterator<Item = Message> + Send {
    let time = time(&lines);
    lines_of(lines).map(move |line| {
        let AppLogLine { at_ms, process, stream, text } = line;
        Message::data(&json!({
            "line": text, "process": process, "stream": stream, "time": time, "at_ms": at_ms,
        }))
    })
}

fn lines_of(lines: LogLines) -> impl Iterator<Item = AppLogLine> + Send {
    let LogLines { time_ms: at_ms, output, process, text, .. } = lines;
    let stream = name(output);
    each(text).map(move |text| AppLogLine {
        at_ms,
        process: process.clone(),
        stream: stream.to_owned(),
        text,
    })
}

/// An [`AppLog`], as it comes.
fn object(lines: LogStream) -> Response {
    let items = lines.enumerate().map(|(place, lines)| {
        Ok(lines_of(lines?).enumerate().map(move |(within, line)| {
            let separator = if (place, within) == (0, 0) { "" } else { "," };
            format!("{separator}{}", json!(line)).into_bytes()
        }))
    });
    let edge = |text: &'static [u8]| stream::iter([Ok(text.into())]);
    let object = edge(b"{\"lines\":[").chain(joined(items)).chain(edge(b"]}"));
    whole(object, "application/json")
}

#[cfg(test)]
mod tests {
    use pando_guest_protocol::frame::FrameError;
    use pando_guest_protocol::log::Output;
    use pando_node::guest::GuestError;
    use serde_json::Value;

    use super::*;

    fn said(process: Option<&str>, text: &str) -> Result<LogLines, GuestError> {
        let process = process.map(str::to_owned);
        Ok(LogLines {
            time_ms: 250,
            output: Output::Stdout,
            pid: 7,
            process,
            text: text.to_owned(),
        })
    }

    fn coming(lines: impl IntoIterator<Item = Result<LogLines, GuestError>>) -> LogStream {
        stream::iter(lines.into_iter().collect::<Vec<_>>()).boxed()
    }

    async fn body(response: Response) -> Result<String, axum::Error> {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn a_query_says_which_lines() {
        let all = LogQuery { whose: Whose::Processes, ..LogQuery::default() };
        assert_eq!(wanted(None).unwrap(), all);
        let query = "process=clock_worker&tail=10&follow=1";
        let whose = Whose::Process("clock_worker".into());
        let want = LogQuery { whose, tail: Some(10), follow: true, ..LogQuery::default() };
        assert_eq!(wanted(Some(query)).unwrap(), want);
        for (query, field) in [
            ("process=", "process"),
            ("process=a.b", "process"),
            ("tail=-1", "tail"),
            ("follow=maybe", "follow"),
        ] {
            assert_eq!(wanted(Some(query)).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
    }

    #[tokio::test]
    async fn lines_as_an_object_and_as_events() {
        let lines = || coming([said(Some("web"), "a \"b\"\n"), said(None, "gone")]);
        let told: Value = serde_json::from_str(&body(object(lines())).await.unwrap()).unwrap();
        let line = |process: Value, text: &str| json!({"at_ms": 250, "process": process, "stream": "stdout", "text": text});
        let want = json!({"lines": [
            line(json!("web"), "a \"b\""), line(json!("web"), ""), line(Value::Null, "gone"),
        ]});
        assert_eq!(told, want);
        assert_eq!(body(object(coming([]))).await.unwrap(), "{\"lines\":[]}");
        let told = body(events(lines(), events_of)).await.unwrap();
        let first: Value =
            serde_json::from_str(told.lines().next().unwrap().strip_prefix("data: ").unwrap())
                .unwrap();
        let want = json!({
            "line": "a \"b\"", "process": "web", "stream": "stdout", "at_ms": 250,
            "time": "1970-01-01T00:00:00.250Z",
        });
        assert_eq!(first, want);
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_whole_log() {
        let broken = || Err(GuestError::Frame(FrameError::Ended));
        assert!(body(object(coming([said(Some("web"), "a"), broken()]))).await.is_err());
        let told =
            body(events(coming([said(Some("web"), "a"), Err(GuestError::Asleep)]), events_of))
                .await;
        assert!(
            told.unwrap().contains("event: error\ndata: {\"error\":\"the sandbox went to sleep\"")
        );
    }
}
