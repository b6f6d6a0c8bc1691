//! What a fuzzer reaches beside the public face; compiled for it alone (`fuzz/`).

use http::HeaderMap;
use http::header::HeaderValue;
use pando_types::url::Scheme;

use crate::head::{Scanner, Stop};
use crate::headers::{self, Origin};

/// The client that every request comes from.
pub const CLIENT: &str = "192.0.2.7";

/// A request's headers, cleaned for the app.
pub fn for_app(headers: &mut HeaderMap) {
    let origin = Origin {
        client: HeaderValue::from_static(CLIENT),
        host: HeaderValue::from_static("shop.preview.localhost"),
        scheme: Scheme::Https,
    };
    let upgrade = headers::upgrade(headers);
    let _ = headers::has_foreign_coding(headers);
    headers::for_app(headers, &origin, upgrade);
}

/// An answer's headers, cleaned for the client.
pub fn for_client(headers: &mut HeaderMap) {
    let upgrade = headers::upgrade(headers);
    headers::for_client(headers, upgrade);
}

/// What is seen of a connection's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How many may go on.
    pub passed: usize,
    /// How many heads end among those.
    pub heads: usize,
    /// Whether nothing after them may.
    pub stopped: bool,
    /// Whether it is a body that is broken: then how much of it went on before that
    /// was seen depends on how it arrived.
    pub in_body: bool,
}

/// A connection's bytes, looked at as they arrive: `piece_bytes` at a time.
pub fn scan(bytes: &[u8], piece_bytes: usize) -> Seen {
    let mut scanner = Scanner::new();
    let mut seen = Seen { passed: 0, heads: 0, stopped: false, in_body: false };
    let mut arrived = 0;
    while arrived < bytes.len() && !seen.stopped {
        arrived = (arrived + piece_bytes).min(bytes.len());
        let found = scanner.scan(&bytes[seen.passed..arrived]);
        seen.passed += found.passed;
        seen.heads += found.heads;
        seen.stopped = found.stop.is_some();
        seen.in_body = found.stop == Some(Stop::BrokenBody);
    }
    seen
}
