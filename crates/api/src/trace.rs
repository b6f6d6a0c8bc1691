//! One span and one log line per request: method, path, status, time, a request
//! id that the client also gets. No query string, no header and no whole id
//! goes into the log: a sandbox's id is the credential of its hostname.

use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

/// The response header that names a request in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest path that is printed, in characters.
const MAX_PRINTED_PATH: usize = 200;

/// Gives each request its id, its span and its line in the log.
pub async fn request(request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().simple().to_string();
    let path = printable_path(request.uri().path());
    let span = tracing::info_span!("request", id, method = %request.method(), path);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status = response.status().as_u16(), elapsed_ms, "answered"));
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// A path fit for a log: ids cut to their first eight digits, and not endless.
#[must_use]
pub fn printable_path(path: &str) -> String {
    let cut = |segment: &str| match Uuid::try_parse(segment) {
        Ok(id) => id.simple().to_string()[..8].to_owned(),
        Err(_) => segment.to_owned(),
    };
    let whole = path.split('/').map(cut).collect::<Vec<_>>().join("/");
    whole.chars().take(MAX_PRINTED_PATH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut() {
        let path = "/v1/sandboxes/6f1c1f3e-8f57-4b5e-9a51-6d1f0d5a7c11/exec";
        assert_eq!(printable_path(path), "/v1/sandboxes/6f1c1f3e/exec");
        assert_eq!(printable_path("/v1/me"), "/v1/me");
        assert_eq!(printable_path(&"x".repeat(10_000)).len(), MAX_PRINTED_PATH);
    }
}
