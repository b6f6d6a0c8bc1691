//! `POST /v1/webhooks/github`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use pando_deploy::WebhookRequest;
use pando_types::app::Delivery;
use pando_types::limits::MAX_WEBHOOK_BODY_BYTES;

use crate::Api;
use crate::extract::body_refused;
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// The header that carries the HMAC-SHA256 of the raw body.
const SIGNATURE: &str = "x-hub-signature-256";
/// The header that names what happened.
const EVENT: &str = "x-github-event";
/// The header that names the delivery; a repeated one has the same.
const DELIVERY: &str = "x-github-delivery";

/// Takes a webhook of GitHub. The answer says what was decided, and why; the work goes on after it.
///
/// No key: the body must be signed with the webhook secret (`X-Hub-Signature-256`).
#[utoipa::path(
    post, path = "/webhooks/github", tag = "webhooks", operation_id = "webhook_github", security(()),
    params(
        ("X-GitHub-Event" = String, Header),
        ("X-GitHub-Delivery" = String, Header),
        ("X-Hub-Signature-256" = String, Header, description = "`sha256=` and 64 hex digits"),
    ),
    request_body(content = serde_json::Value, description = "GitHub's payload"),
    responses((status = 202, body = Delivery), Refusals)
)]
pub async fn github(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Delivery>), Refused> {
    let body = body.map_err(|rejection| body_refused(&rejection, MAX_WEBHOOK_BODY_BYTES))?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = WebhookRequest {
        event: header(EVENT),
        delivery: header(DELIVERY),
        signature: header(SIGNATURE),
        body: &body,
    };
    let delivery = api.deploy.webhook(request).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery)))
}
