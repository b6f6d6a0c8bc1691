//! `GET /v1/sandboxes/{id}/events`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use pando_types::PublicError;
use pando_types::limits::{DEFAULT_EVENTS, MAX_EVENTS};
use pando_types::sandbox::SandboxEvents;
use utoipa::IntoParams;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::openapi::Refusals;
use crate::query;
use crate::refusal::Refused;
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
    /// Whether to go on: then the answer is server-sent events named `event`, and
    /// `Last-Event-ID` counts as `after`. The stream ends with the sandbox.
    follow: Option<bool>,
}

/// The greatest integer that every JSON reader takes.
const MAX_SEQ: u64 = (1 << 53) - 1;

/// What happened to a sandbox: also to one that is gone, for seven days.
#[utoipa::path(
    get, path = "/sandboxes/{id}/events", tag = "sandboxes", operation_id = "sandbox_events",
    params(("id" = String, Path, format = Uuid), Asked),
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
    let tail = query::number(query, "tail", 1, u64::from(MAX_EVENTS))?;
    let tail = tail.and_then(|tail| u32::try_from(tail).ok()).unwrap_or(DEFAULT_EVENTS);
    let mut after = query::number(query, "after", 0, MAX_SEQ)?.unwrap_or(0);
    if !query::switch(query, "follow")? {
        let events = api.sandboxes.events(caller.org, id, after, tail).await?;
        return Ok(Json(SandboxEvents { events }).into_response());
    }
    // A client that lost its connection says which event it saw last.
    if let Some(last) = headers.get("last-event-id").and_then(|value| value.to_str().ok()) {
        after = last.parse().unwrap_or(after);
    }
    let events = api.sandboxes.follow_events(caller.org, id, after, tail).await?;
    Ok(sse::response(events.map(|event| match event {
        Ok(event) => Message::json("event", &event).with_id(event.seq),
        Err(error) => failed(&error),
    })))
}

fn failed(error: &PublicError) -> Message {
    Message::json("error", &error.body())
}
