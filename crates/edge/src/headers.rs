//! Which headers cross the edge. Pure.
//!
//! What the app hears about the client, it hears from the edge alone: whatever
//! the client claims about itself in forwarding headers is dropped, under every
//! spelling that an app could take for one of them.

use http::Version;
use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use pando_types::url::Scheme;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// Whether a header is of one connection (RFC 9110 section 7.6.1), beside those
/// that `Connection` names, or the proxy's own. `Expect` is among them because the
/// edge itself says when to continue: once the app's connection stands.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "expect"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether frameworks learn a client's address or a request's original form by this
/// name, or CGI programs take it for the variable `HTTP_PROXY`.
fn is_claim(name: &str) -> bool {
    matches!(
        name,
        "cf-connecting-ip"
            | "client-ip"
            | "fastly-client-ip"
            | "forwarded"
            | "proxy"
            | "true-client-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-original-forwarded-for"
            | "x-original-host"
            | "x-real-ip"
    ) || name.starts_with("x-forwarded-")
        || is_reserved(name)
}

/// Pando's own headers mean something between its parts and never come from outside.
fn is_reserved(name: &str) -> bool {
    name.starts_with("pando-") || name.starts_with("x-pando-")
}

/// Whether a name says where a body ends. Spelled rightly it is the edge's to write, or
/// was judged (`head`).
fn is_framing(name: &str) -> bool {
    matches!(name, "content-length" | "transfer-encoding")
}

/// Whether `is` takes a name as CGI-like interfaces see it: there `-` and `_` are
/// one, so `X_Forwarded_For` would pass for `X-Forwarded-For`. So could a name pass
/// for one of [`is_framing`].
fn is_spelled(name: &str, is: impl Fn(&str) -> bool) -> bool {
    if !name.bytes().any(|byte| byte == b'_') {
        return is(name);
    }
    let name = name.replace('_', "-");
    is(&name) || is_framing(&name)
}

/// Whether any name that is dropped begins like this one: most do not, and need no
/// second look.
fn may_be_dropped(name: &str) -> bool {
    matches!(name.as_bytes(), [b'c' | b'e' | b'f' | b'k' | b'p' | b't' | b'u' | b'x', ..])
}

/// Who asks, and for what: what the app is told about the client.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The client's address.
    pub client: HeaderValue,
    /// The host as the client wrote it.
    pub host: HeaderValue,
    /// The scheme that the client used.
    pub scheme: Scheme,
}

/// A request's headers as the app gets them; `upgrade` is the protocol to switch
/// to, from [`upgrade`].
pub(crate) fn for_app(headers: &mut HeaderMap, origin: &Origin, upgrade: Option<HeaderValue>) {
    let trailers = lists(headers, &header::TE, "trailers");
    drop_but(headers, is_claim);
    join_cookies(headers);

    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    } else if trailers {
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    headers.insert(X_FORWARDED_FOR, origin.client.clone());
    headers.insert(X_REAL_IP, origin.client.clone());
    headers.insert(header::HOST, origin.host.clone());
    headers.insert(X_FORWARDED_HOST, origin.host.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(origin.scheme.as_str()));
}

/// An app's answer's headers as the client gets them; `upgrade` is the protocol
/// that it switches to.
pub(crate) fn for_client(headers: &mut HeaderMap, upgrade: Option<HeaderValue>) {
    // Beside a transfer coding, a length is not the body's (RFC 9112 section 6.3).
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    drop_but(headers, is_reserved);
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// A request's trailers as the app gets them.
pub(crate) fn trailers_for_app(trailers: &mut HeaderMap) {
    drop_but(trailers, is_claim);
}

/// An answer's trailers as the client gets them.
pub(crate) fn trailers_for_client(trailers: &mut HeaderMap) {
    drop_but(trailers, is_reserved);
}

/// Previews are not for search engines, whatever the app says.
pub(crate) fn forbid_indexing(headers: &mut HeaderMap) {
    headers.insert(X_ROBOTS_TAG, HeaderValue::from_static("noindex"));
}

/// The protocols that a request asks to switch to. HTTP/2 is not among them: its
/// requests would pass the edge unseen and uncleaned.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    if !lists(headers, &header::CONNECTION, "upgrade") {
        return None;
    }
    let is_http = |protocol: &str| {
        let name = protocol.split('/').next().unwrap_or_default();
        ["h2", "h2c", "http"].iter().any(|http| name.eq_ignore_ascii_case(http))
    };
    let wanted: Vec<&str> =
        tokens(headers, &header::UPGRADE).filter(|protocol| !is_http(protocol)).collect();
    if wanted.is_empty() { None } else { HeaderValue::try_from(wanted.join(", ")).ok() }
}

/// Whether the body is coded in a way that the edge does not undo.
pub(crate) fn has_foreign_coding(headers: &HeaderMap) -> bool {
    tokens(headers, &header::TRANSFER_ENCODING)
        .any(|coding| !coding.eq_ignore_ascii_case("chunked"))
}

/// A `Content-Length`: digits and nothing else.
pub(crate) fn length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More than i64::MAX is no length of anything, and overflows somebody's integer.
    str::from_utf8(digits).ok()?.parse().ok().filter(|length| i64::try_from(*length).is_ok())
}

/// Whether all that an `Expect` line asks for is to be told to continue, which is all
/// that can be met (RFC 9110 section 10.1.1).
pub(crate) fn expects_continue(value: &[u8]) -> bool {
    let members = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    members
        .filter(|member| !member.is_empty())
        .all(|member| member.eq_ignore_ascii_case(b"100-continue"))
}

/// Whether whoever sent a message goes on with its connection afterwards.
pub(crate) fn keeps_alive(headers: &HeaderMap, version: Version) -> bool {
    let says = |token| lists(headers, &header::CONNECTION, token);
    !says("close") && (version == Version::HTTP_11 || says("keep-alive"))
}

/// Whether an answer is a stream of events, which ends when one side has enough.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("text/event-stream")
}

/// HTTP/2 may carry each cookie in a line of its own; HTTP/1.1 has one line
/// (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines = headers.get_all(header::COOKIE).iter();
    let cookies: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    if let Ok(cookies) = HeaderValue::from_bytes(&cookies.join(&b"; "[..])) {
        headers.insert(header::COOKIE, cookies);
    }
}

/// Drops what is of one connection alone, and what is `unwanted` besides.
fn drop_but(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let is_unwanted = |name: &str| is_hop_by_hop(name) || unwanted(name);
    let is_dropped = |name: &str| may_be_dropped(name) && is_spelled(name, is_unwanted);
    let mut dropped: Vec<HeaderName> =
        headers.keys().filter(|name| is_dropped(name.as_str())).cloned().collect();
    if dropped.contains(&header::CONNECTION) {
        let named = tokens(headers, &header::CONNECTION).filter_map(|name| name.parse().ok());
        dropped.extend(named.collect::<Vec<HeaderName>>());
    }
    for name in dropped {
        if let Entry::Occupied(entry) = headers.entry(name) {
            entry.remove_entry_mult();
        }
    }
}

fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// The members of a comma-separated header, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin() -> Origin {
        Origin {
            client: HeaderValue::from_static("192.0.2.7"),
            host: HeaderValue::from_static("shop.preview.localhost:7070"),
            scheme: Scheme::Https,
        }
    }

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn an_app_hears_about_the_client_from_the_edge_alone() {
        let mut headers = map(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x-forwarded-port", "1"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("true-client-ip", "6.6.6.6"),
            ("proxy", "http://evil"),
            ("transfer_encoding", "chunked"),
            ("content_length", "5"),
            ("proxy_authorization", "Basic x"),
            ("pando-caller", "node"),
            ("x-pando-org", "admin"),
            ("x_pando_org", "admin"),
            ("cookie", "a=b"),
        ]);
        for_app(&mut headers, &origin(), None);
        assert_eq!(all(&headers, "x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(all(&headers, "x-real-ip"), ["192.0.2.7"]);
        assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
        assert_eq!(all(&headers, "x-forwarded-host"), ["shop.preview.localhost:7070"]);
        assert_eq!(all(&headers, "host"), ["shop.preview.localhost:7070"]);
        assert_eq!(all(&headers, "cookie"), ["a=b"]);
        assert_eq!(headers.keys_len(), 6);
    }

    #[test]
    fn cookies_are_one_line() {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2; c=3"), ("accept", "x")]);
        for_app(&mut headers, &origin(), None);
        assert_eq!(all(&headers, "cookie"), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn what_belongs_to_a_connection_stays_on_it() {
        let lines = [
            ("connection", "keep-alive, X-Mine"),
            ("connection", "host"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("te", "gzip"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("trailer", "x-sum"),
        ];
        let mut headers = map(&lines);
        for_client(&mut headers, None);
        assert_eq!(headers.keys_len(), 1);
        assert_eq!(all(&headers, "trailer"), ["x-sum"]);

        let mut headers = map(&lines);
        for_app(&mut headers, &origin(), None);
        assert_eq!(all(&headers, "host"), ["shop.preview.localhost:7070"]);
        assert!(all(&headers, "x-mine").is_empty() && all(&headers, "connection").is_empty());
    }

    #[test]
    fn an_upgrade_needs_both_headers_and_is_never_to_http() {
        let upgrade = |connection, protocol| {
            upgrade(&map(&[("connection", connection), ("upgrade", protocol)]))
        };
        assert_eq!(upgrade("keep-alive, Upgrade", "websocket").unwrap(), "websocket");
        assert_eq!(upgrade("upgrade", "h2c, websocket").unwrap(), "websocket");
        assert_eq!(upgrade("keep-alive", "websocket"), None);
        assert_eq!(upgrade("upgrade, http2-settings", "h2c"), None);
        assert_eq!(upgrade("upgrade", "HTTP/2.0"), None);
        assert_eq!(upgrade("upgrade", ""), None);

        let mut headers = map(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        for_app(&mut headers, &origin(), Some(HeaderValue::from_static("websocket")));
        assert_eq!(all(&headers, "connection"), ["upgrade"]);
        assert_eq!(all(&headers, "upgrade"), ["websocket"]);
    }

    #[test]
    fn trailers_are_asked_for_when_the_client_takes_them() {
        let mut headers = map(&[("te", "trailers, deflate")]);
        for_app(&mut headers, &origin(), None);
        assert_eq!(all(&headers, "te"), ["trailers"]);
        assert_eq!(all(&headers, "connection"), ["te"]);
    }

    #[test]
    fn chunked_is_the_only_coding() {
        assert!(!has_foreign_coding(&map(&[("transfer-encoding", "Chunked")])));
        assert!(!has_foreign_coding(&map(&[])));
        assert!(has_foreign_coding(&map(&[("transfer-encoding", "gzip, chunked")])));
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_reserved_name_passes(
            name in "(x[-_])?(pando|forwarded)[-_][a-z_-]{1,9}", upper in any::<bool>(),
        ) {
            let name = if upper { name.to_ascii_uppercase() } else { name };
            let reserved = name.to_ascii_lowercase().replace('_', "-");
            prop_assume!(!reserved.starts_with("forwarded-"));
            let name: HeaderName = name.parse().unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(name.clone(), HeaderValue::from_static("spoofed"));
            for_app(&mut headers, &origin(), None);
            prop_assert!(headers.get(&name).is_none_or(|value| value != "spoofed"));
        }
    }
}
