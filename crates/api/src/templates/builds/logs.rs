//! `GET /v1/templates/builds/{id}/logs`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::{StreamExt, stream};

use super::build_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::query;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sse::{self, Message, StreamEvent};

/// A build's log from its first line, as server-sent events; followed, until the build ends.
///
/// Each `data:` is one raw line; the last is `end`.
#[utoipa::path(
    get, path = "/templates/builds/{id}/logs", tag = "templates",
    operation_id = "template_build_logs",
    params(
        ("id" = String, Path, format = Uuid),
        ("follow" = Option<bool>, Query, description = "Go on until the build ends."),
    ),
    responses((status = 200, body = StreamEvent, content_type = "text/event-stream"), Refusals)
)]
pub async fn logs(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let id = build_id(&id)?;
    let follow = query::switch(query.as_deref(), "follow")?;
    let lines = api.templates.build_log(caller.org, id, follow).await?;
    let messages = lines.flat_map(|line| stream::iter(Message::lines(line)));
    Ok(sse::response(messages.chain(stream::once(async { Message::end() }))))
}
