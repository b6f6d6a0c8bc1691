//! WebSocket over HTTP/2 (RFC 8441), whose apps speak it over HTTP/1.1 (RFC 6455):
//! the opening handshake is translated, what follows is the same bytes. Pure.

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::ext::Protocol;

use crate::headers;

/// What an HTTP/1.1 server appends to a key before it digests it.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// The protocol that an extended CONNECT asks for; `None` for any other request.
pub(crate) fn protocol_of<T>(request: &Request<T>) -> Option<&str> {
    if request.method() != Method::CONNECT {
        return None;
    }
    request.extensions().get::<Protocol>().map(Protocol::as_str)
}

/// A handshake with an app that the edge makes in the place of its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handshake {
    key: HeaderValue,
}

impl Handshake {
    /// A new one; `None` without randomness, which a running system always has.
    pub(crate) fn new() -> Option<Self> {
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key).ok()?;
        Some(Self { key: HeaderValue::try_from(BASE64.encode(key)).ok()? })
    }

    /// Makes a request's headers those of an HTTP/1.1 handshake, apart from what
    /// [`headers::for_app`] adds for [`Handshake::upgrade`].
    pub(crate) fn prepare(&self, headers: &mut HeaderMap) {
        headers.insert(header::SEC_WEBSOCKET_KEY, self.key.clone());
    }

    /// The protocol to switch to.
    pub(crate) fn upgrade() -> HeaderValue {
        HeaderValue::from_static("websocket")
    }

    /// Whether the app has switched to WebSocket, and for this handshake.
    pub(crate) fn is_accepted(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let protocol = headers::upgrade(headers);
        let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
        status == StatusCode::SWITCHING_PROTOCOLS
            && protocol.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"))
            && accept.is_some_and(|accept| accept.as_bytes() == self.accept().as_bytes())
    }

    /// Takes out of an answer's headers what is HTTP/1.1's alone.
    pub(crate) fn clean(headers: &mut HeaderMap) {
        headers.remove(header::SEC_WEBSOCKET_ACCEPT);
        headers.remove(header::CONTENT_LENGTH);
    }

    fn accept(&self) -> String {
        let text = [self.key.as_bytes(), KEY_SUFFIX].concat();
        // The protocol's own choice, and no secret depends on it.
        BASE64.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_must_belong_to_the_handshake() {
        // The example of RFC 6455 section 1.3.
        let handshake = Handshake { key: HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==") };
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("Upgrade"));
        headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
        let switched = StatusCode::SWITCHING_PROTOCOLS;
        assert!(!handshake.is_accepted(switched, &headers));
        let accept = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        headers.insert("sec-websocket-accept", accept);
        assert!(handshake.is_accepted(switched, &headers));
        assert!(!handshake.is_accepted(StatusCode::OK, &headers));
        assert!(!Handshake::new().unwrap().is_accepted(switched, &headers));
        headers.insert("upgrade", HeaderValue::from_static("tcp"));
        assert!(!handshake.is_accepted(switched, &headers));
    }

    #[test]
    fn no_two_keys_are_alike() {
        assert_ne!(Handshake::new(), Handshake::new());
    }
}
