//! `GET /v1/apps/{id}/deploys/{deployment}/logs`.

use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use pando_deploy::LogLine;
use pando_types::PublicError;

use super::{app_id, deployment_id};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sse::{self, Message, StreamEvent};

/// A deployment's log from its first line, as server-sent events, until the deployment ends.
///
/// Each `data:` is one raw line; the last is `end`.
#[utoipa::path(
    get, path = "/apps/{id}/deploys/{deployment}/logs", tag = "deployments",
    operation_id = "deployment_logs",
    params(("id" = String, Path, format = Uuid), ("deployment" = String, Path, format = Uuid)),
    responses((status = 200, body = StreamEvent, content_type = "text/event-stream"), Refusals)
)]
pub async fn logs(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((app, deployment)): UrlPath<(String, String)>,
) -> Result<Response, Refused> {
    let (app, deployment) = (app_id(&app)?, deployment_id(&deployment)?);
    let lines = api.deploy.log_follow(caller.org, app, deployment).await?;
    // Whatever breaks the log off becomes its last line: the status is long sent.
    let text = |line: Result<LogLine, PublicError>| line.map_or_else(|e| e.to_string(), |l| l.text);
    let messages = lines.flat_map(move |line| stream::iter(Message::lines(text(line))));
    Ok(sse::response(messages.chain(stream::once(async { Message::end() }))))
}
