//! What was said, kept word for word so that the contract can judge it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::forge::Inner;
use crate::hook::{Answer, Delivery};
use crate::rest::Problem;

/// The most bytes of a REST request that are read.
pub(crate) const MAX_REQUEST_BYTES: usize = 1024 * 1024;
/// The most bytes of an answer: a full page of the largest objects stays far below.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Whether exchanges are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// They are, the last five thousand.
    On,
    /// They are not.
    Off,
}

/// One question and its answer.
#[derive(Debug, Clone)]
pub enum Exchange {
    /// A client asked the stand-in.
    Rest(RestExchange),
    /// The stand-in told a client.
    Webhook(WebhookExchange),
}

/// A REST call, as it came in and as it was answered.
#[derive(Debug, Clone)]
pub struct RestExchange {
    /// `GET`, `POST` …
    pub method: String,
    /// The path as sent, still percent-encoded.
    pub path: String,
    /// The query as sent, without its question mark.
    pub query: Option<String>,
    /// The request's headers (names in lower case); a credential is replaced by its scheme.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub request: Bytes,
    /// The answer's status.
    pub status: u16,
    /// The answer's body.
    pub response: Bytes,
}

/// A webhook, as it was sent.
#[derive(Debug, Clone)]
pub struct WebhookExchange {
    /// `push` or `pull_request`.
    pub event: String,
    /// The payload's action, where the event has some.
    pub action: Option<String>,
    /// The payload.
    pub body: String,
    /// The status it was answered with, where it was answered.
    pub status: Option<u16>,
}

impl WebhookExchange {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let status = match delivery.answer {
            Answer::Answered { status, .. } => Some(status),
            Answer::Failed { .. } => None,
        };
        let Delivery { event, action, body, .. } = delivery.clone();
        Self { event, action, body, status }
    }
}

/// Middleware: reads the request whole, and keeps both sides where recording is on.
pub(crate) async fn record(
    State(forge): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(sent) = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await else {
        return Problem::TooLarge.into_response();
    };
    let kept = (forge.recording == Recording::On).then(|| RestExchange {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: readable(&parts.headers),
        request: sent.clone(),
        status: 0,
        response: Bytes::new(),
    });
    let response = next.run(Request::from_parts(parts, Body::from(sent))).await;
    let Some(mut kept) = kept else {
        return response;
    };
    let (head, body) = response.into_parts();
    let Ok(answer) = axum::body::to_bytes(body, MAX_ANSWER_BYTES).await else {
        return Problem::Failed.into_response();
    };
    kept.status = head.status.as_u16();
    kept.response = answer.clone();
    forge.state().remember_exchange(Exchange::Rest(kept));
    Response::from_parts(head, Body::from(answer))
}

fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            let text = if name == "authorization" {
                text.split(' ').next().unwrap_or_default().to_owned()
            } else {
                text.into_owned()
            };
            (name.to_string(), text)
        })
        .collect()
}
