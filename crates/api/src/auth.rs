//! Who asks. A middleware over all of `/v1` but the webhooks, so that no route
//! can be added without it.
//!
//! The key is looked up by its SHA-256: the comparison is of hashes, inside an
//! index, so its time tells nothing about a key, and there is no cache, so a
//! deleted key is refused at once.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use pando_store::Store;
use pando_types::{ApiKeyId, Code, OrgId, PublicError};

use crate::key;
use crate::key_usage::{KeyUsage, Use};
use crate::query;
use crate::refusal::{Refused, store_failed};

/// The key that a request came with, and whose it is.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key.
    pub key: ApiKeyId,
    /// Its label.
    pub label: String,
    /// The org that owns it.
    pub org: OrgId,
}

/// What the door needs to know.
#[derive(Clone)]
pub struct Door {
    /// Where keys are.
    pub store: Store,
    /// How fast they ask.
    pub usage: KeyUsage,
}

/// Lets a request with a known key through, with its [`Caller`] attached.
pub async fn require_key(
    State(door): State<Door>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let in_query = key_in_query(&request)?;
    let presented = presented_key(request.headers()).or(in_query.as_deref()).ok_or_else(|| {
        unauthorized("unauthorized: no API key").hint(
            "send `Authorization: Bearer <key>` or `X-API-Key: <key>`; `pando key create` makes one",
        )
    })?;
    let known = door.store.key_by_hash(&key::hash(presented)).await.map_err(store_failed)?;
    let known = known.ok_or_else(|| {
        unauthorized("unauthorized: this API key is not known")
            .hint("it may have been deleted; `pando key create` makes one")
    })?;
    let now = door.store.now();
    if let Some(expired) = known.key.expires.filter(|expires| *expires <= now) {
        let message = format!("unauthorized: this API key expired at {}", expired.to_rfc3339());
        return Err(unauthorized(&message).hint("make another one").into());
    }
    if door.usage.count(&known, now)? == Use::Note
        && let Err(error) = door.store.key_note_use(known.key.id).await
    {
        // Nobody waits for this.
        tracing::warn!(error = &error as &dyn std::error::Error, "a key's use is not written");
    }
    let row = known.key;
    let caller = Caller { key: row.id, label: row.label, org: row.org };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    /// A route outside the middleware fails closed.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| unauthorized("unauthorized").into())
    }
}

fn unauthorized(message: &str) -> PublicError {
    PublicError::new(Code::Unauthorized, message)
}

/// The key in `?access_token=`, for those two requests of a browser that can hold
/// no header: a WebSocket and an `EventSource`. Elsewhere a key does not belong into
/// a URL, which ends up in histories and logs (ours hold no query).
fn key_in_query(request: &Request) -> Result<Option<String>, PublicError> {
    let holds = |name, wanted: &str| {
        let value = request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        value.is_some_and(|value| value.to_ascii_lowercase().contains(wanted))
    };
    if !holds(header::UPGRADE, "websocket") && !holds(header::ACCEPT, "text/event-stream") {
        return Ok(None);
    }
    let key = query::value(request.uri().query(), "access_token")?;
    Ok(key.filter(|key| !key.is_empty()))
}

/// The key in `Authorization: Bearer` or else in `X-API-Key`.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|text| text.split_once(' ')).and_then(|(scheme, key)| {
        // RFC 9110, 11.1: the scheme's case does not matter.
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let header = || headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::trim);
    bearer.or_else(header).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn a_key_in_the_query_is_for_what_has_no_headers() {
        let key = |name: &str, value: &str| {
            let request = Request::get("/x?rows=1&access_token=k%33").header(name, value);
            key_in_query(&request.body(Body::empty()).unwrap()).unwrap()
        };
        assert_eq!(key("upgrade", "WebSocket").as_deref(), Some("k3"));
        assert_eq!(key("accept", "text/event-stream").as_deref(), Some("k3"));
        assert_eq!(key("accept", "*/*"), None);
        assert_eq!(key("upgrade", "h2c"), None);
    }

    fn presented(pairs: &[(&'static str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        presented_key(&headers).map(str::to_owned)
    }

    #[test]
    fn a_key_comes_in_either_header() {
        assert_eq!(presented(&[("authorization", "Bearer k1")]).as_deref(), Some("k1"));
        assert_eq!(presented(&[("authorization", "bearer  k1 ")]).as_deref(), Some("k1"));
        assert_eq!(presented(&[("x-api-key", "k2")]).as_deref(), Some("k2"));
        let both = [("authorization", "Basic eDp5"), ("x-api-key", "k2")];
        assert_eq!(presented(&both).as_deref(), Some("k2"));
        for none in [[("authorization", "k1")], [("authorization", "Bearer ")], [("x-api-key", "")]]
        {
            assert_eq!(presented(&none), None);
        }
    }
}
