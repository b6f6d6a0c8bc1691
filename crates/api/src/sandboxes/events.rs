//! `GET /v1/sandboxes/{id}/events`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use pando_types::PublicError;
use pando_types::limits::{DEFAULT_EVENTS, MAX_EVENT_SEQ, MAX_EVENTS};
use pando_types::sandbox::SandboxEvents;
use utoipa::IntoParams;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::query;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sse::{self, Message, StreamEvent};

/// What the route takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes; the handler reads")]
pub struct Asked {
    /// How many of the newest events.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    tail: Option<u32>,
    /// Only events with a greater `seq`.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    /// Whether to go on: then the answer is server-sent events named `event`. The stream ends
    /// with the sandbox.
    follow: Option<bool>,
}

/// What a client sends that lost its connection.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes; `last_seen` reads")]
pub struct LastEventId {
    /// The `id` of the last event that came; it counts before `after`.
    #[param(rename = "Last-Event-ID", value_type = u64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    last_event_id: u64,
}

/// What happened to a sandbox: also to one that is gone, for seven days.
#[utoipa::path(
    get, path = "/sandboxes/{id}/events", tag = "sandboxes", operation_id = "sandbox_events",
    params(("id" = String, Path, format = Uuid), Asked, LastEventId),
    responses((status = 200, content(
        (SandboxEvents = "application/json"), (StreamEvent = "text/event-stream"),
    )), Refusals)
)]
pub async fn events(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (id, query) = (sandbox_id(&id)?, query.as_deref());
    let tail = query::number(query, "tail", 1..=MAX_EVENTS)?.unwrap_or(DEFAULT_EVENTS);
    let after = query::number(query, "after", 0..=MAX_EVENT_SEQ)?;
    let after = last_seen(&headers)?.or(after).unwrap_or(0);
    if !query::switch(query, "follow")? {
        let events = api.sandboxes.events(caller.org, id, after, tail).await?;
        return Ok(Json(SandboxEvents { events }).into_response());
    }
    let events = api.sandboxes.follow_events(caller.org, id, after, tail).await?;
    Ok(sse::response(events.map(|event| match event {
        Ok(event) => Message::json("event", &event).with_id(event.seq),
        Err(error) => Message::error(&error),
    })))
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, PublicError> {
    const NAME: &str = "Last-Event-ID";
    let Some(value) = headers.get(NAME) else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.parse().ok());
    seq.filter(|seq| *seq <= MAX_EVENT_SEQ)
        .map(Some)
        .ok_or_else(|| PublicError::invalid(NAME, format!("`{NAME}` must be the `id` of an event")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    #[test]
    fn the_last_event_is_a_number_or_its_header_is_named() {
        let read = |text: &'static str| {
            let headers = [(HeaderName::from_static("last-event-id"), text.parse().unwrap())];
            last_seen(&headers.into_iter().collect()).map_err(|error| error.field)
        };
        assert_eq!(last_seen(&HeaderMap::new()), Ok(None));
        assert_eq!(read("7"), Ok(Some(7)));
        for bad in ["", "-1", "x", "9007199254740992"] {
            assert_eq!(read(bad), Err(Some("Last-Event-ID".into())), "{bad}");
        }
    }
}
