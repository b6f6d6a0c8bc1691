//! `POST /v1/webhooks/github`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use pando_types::PublicError;
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
    let event = required(&headers, EVENT)?;
    let id = required(&headers, DELIVERY)?;
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let delivery = api.deploy.webhook(event, id, signature, body).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery)))
}

fn required<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, PublicError> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.filter(|text| !text.is_empty() && text.len() <= 200).ok_or_else(|| {
        PublicError::invalid(name, format!("the header `{name}` is missing or too long"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_names_its_event() {
        let mut headers = HeaderMap::new();
        headers.insert(EVENT, "push".parse().unwrap());
        assert_eq!(required(&headers, EVENT), Ok("push"));
        let missing = required(&headers, DELIVERY).unwrap_err();
        assert_eq!(missing.field.as_deref(), Some(DELIVERY));
    }
}
