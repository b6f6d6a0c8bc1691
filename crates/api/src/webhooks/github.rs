//! `POST /v1/webhooks/github`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use pando_deploy::WebhookRequest;
use pando_types::app::Delivery;
use pando_types::limits::MAX_WEBHOOK_BODY_BYTES;
use pando_types::schema::value::{WebhookName, WebhookSignature};
use utoipa::IntoParams;

use crate::Api;
use crate::extract;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// The headers, as the route describes them.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes; the handler reads")]
pub struct Headers {
    /// What happened.
    #[param(rename = "X-GitHub-Event", value_type = WebhookName, inline)]
    event: String,
    /// The delivery; a repeated one has the same.
    #[param(rename = "X-GitHub-Delivery", value_type = WebhookName, inline)]
    delivery: String,
    /// `sha256=` and the HMAC-SHA256 of the raw body, in 64 hex digits.
    #[param(rename = "X-Hub-Signature-256", value_type = WebhookSignature, inline)]
    signature: String,
}

/// Takes a webhook of GitHub. The answer says what was decided, and why; the work goes on after it.
///
/// No key: the body must be signed with the webhook secret (`X-Hub-Signature-256`).
#[utoipa::path(
    post, path = "/webhooks/github", tag = "webhooks", operation_id = "webhook_github", security(()),
    params(Headers),
    request_body(content = serde_json::Value, description = "GitHub's payload"),
    responses((status = 202, body = Delivery), Refusals)
)]
pub async fn github(
    State(api): State<Api>,
    request: Request,
) -> Result<(StatusCode, Json<Delivery>), Refused> {
    let headers = request.headers().clone();
    let body = extract::read(request, MAX_WEBHOOK_BODY_BYTES).await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = WebhookRequest {
        event: header("x-github-event"),
        delivery: header("x-github-delivery"),
        signature: header("x-hub-signature-256"),
        body: &body,
    };
    let delivery = api.deploy.webhook(request).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery)))
}
