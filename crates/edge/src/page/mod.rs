//! The edge's own answers: HTML for browsers, JSON for everything else. Pure.

mod accept;
mod html;

pub(crate) use accept::prefers_html;

use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use pando_types::{Code, PublicError};

use crate::body::Body;
use crate::headers;
use crate::trouble::Trouble;

/// What of a request decides the form of the edge's own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The client would rather read HTML than JSON.
    html: bool,
    /// Asking again does no harm: a page may do so by itself.
    repeatable: bool,
}

impl Asked {
    /// Looks at the request's method and `Accept`.
    pub(crate) fn by(method: &Method, headers: &HeaderMap) -> Self {
        Self {
            html: prefers_html(headers),
            repeatable: matches!(*method, Method::GET | Method::HEAD),
        }
    }
}

/// What those get who only look, of a sandbox that sleeps: a host that is well, and
/// nothing that is worth to be kept.
pub(crate) fn asleep() -> Response<Body> {
    let text = PublicError::new(Code::Unavailable, "nobody uses this preview now, so it sleeps")
        .hint("it wakes when somebody opens it");
    let status = StatusCode::OK;
    let page = html::page("A preview that sleeps", status.as_u16(), &text, false);
    let mut response = Response::new(Body::own(page));
    *response.status_mut() = status;
    describe(response.headers_mut(), "text/html; charset=utf-8");
    response
}

/// The answer that tells of `trouble`.
pub(crate) fn answer(trouble: Trouble, asked: Asked) -> Response<Body> {
    let (error, status) = (trouble.public(), trouble.status());
    let retry = error.retry_after_secs.map(HeaderValue::from);
    let (kind, text) = if asked.html {
        let again = trouble.passes_by_itself() && asked.repeatable;
        ("text/html; charset=utf-8", html::page(&trouble.title(), status.as_u16(), &error, again))
    } else {
        let body = serde_json::to_string(&error.body()).unwrap_or_default();
        ("application/json", body)
    };

    let mut response = Response::new(Body::own(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    describe(headers, kind);
    if trouble.is_distrust() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(retry) = retry {
        if asked.html && asked.repeatable && trouble.passes_by_itself() {
            headers.insert(header::REFRESH, retry.clone());
        }
        headers.insert(header::RETRY_AFTER, retry);
    }
    response
}

/// What the head of each of the edge's own answers says.
fn describe(headers: &mut HeaderMap, kind: &'static str) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(html::POLICY));
    // The host may hold a sandbox's id, which is a credential.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers::forbid_indexing(headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, accept: &'static str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Asked::by(&method, &headers)
    }

    #[test]
    fn only_a_page_that_may_be_asked_again_refreshes_itself() {
        let waiting = Trouble::NotListening { port: 3000 };
        let refreshes = |trouble, asked| answer(trouble, asked).headers().contains_key("refresh");
        assert!(refreshes(waiting, asked(Method::GET, "text/html")));
        assert!(refreshes(Trouble::NotLive, asked(Method::HEAD, "text/html")));
        assert!(!refreshes(waiting, asked(Method::POST, "text/html")));
        assert!(!refreshes(waiting, asked(Method::GET, "*/*")));
        assert!(!refreshes(Trouble::NotRunning, asked(Method::GET, "text/html")));
        assert!(answer(waiting, asked(Method::POST, "*/*")).headers().contains_key("retry-after"));
    }
}
