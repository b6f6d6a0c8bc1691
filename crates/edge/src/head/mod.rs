//! The head of a request, judged before anything acts on it. Pure.
//!
//! Over HTTP/1.1, what carries the exchange is lenient where a proxy must not be: it takes a
//! line that ends in a bare LF, and settles silently what two readers may settle
//! differently (a length beside a transfer coding). Here such a request is
//! refused, and the rest of its connection with it: nobody can say for certain
//! where the next one begins.

mod scanner;
mod stream;

use std::mem::MaybeUninit;

use http::Uri;

pub(crate) use scanner::{Scanner, Stop};
pub(crate) use stream::examine_stream;

use crate::headers;
use crate::limits::{MAX_HEADERS, MAX_URL_BYTES};

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not HTTP, or can be read in two ways; says what is wrong.
    Malformed(&'static str),
    /// Larger than [`crate::limits::MAX_HEADER_BYTES`].
    TooLarge,
    /// More lines than [`MAX_HEADERS`].
    TooManyLines,
    /// The target is longer than [`MAX_URL_BYTES`].
    LongUrl,
    /// It expects something else than to be told to continue.
    Expectation,
    /// It did not arrive in time.
    Slow,
}

/// What follows a head on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes of body, then the next head.
    Length(u64),
    /// A chunked body, then the next head.
    Chunked,
    /// Perhaps another protocol: nothing after this head is read as HTTP unless
    /// the switch is declined, and then the connection ends.
    Switch,
}

/// Judges one whole head, its empty line included.
pub(crate) fn examine(head: &[u8]) -> Result<Framing, Refusal> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut lines) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refusal::Malformed("the head is incomplete")),
        Err(error) => return Err(refusal_of(error)),
    }
    let target = request.path.unwrap_or_default();
    if target.len() > MAX_URL_BYTES {
        return Err(Refusal::LongUrl);
    }
    if !is_plain(target) && target.parse::<Uri>().is_err() {
        return Err(Refusal::Malformed("the request's target is no URL"));
    }
    framing(request.headers, request.version == Some(1))
}

/// Where the body ends, if all would agree on it.
fn framing(headers: &[httparse::Header<'_>], is_1_1: bool) -> Result<Framing, Refusal> {
    let (mut length, mut chunked, mut switch) = (None, false, false);
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            if length.is_some() {
                return Err(Refusal::Malformed("Content-Length stands there twice"));
            }
            length =
                Some(headers::length(header.value).ok_or(Refusal::Malformed(
                    "Content-Length takes one number and nothing else",
                ))?);
        } else if is("transfer-encoding") {
            if chunked || !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Malformed(
                    "the request's transfer coding is not known here: send the body `chunked` or with a length",
                ));
            }
            if !is_1_1 {
                return Err(Refusal::Malformed("HTTP/1.0 has no Transfer-Encoding"));
            }
            chunked = true;
        } else if is("expect") {
            if !headers::expects_continue(header.value) {
                return Err(Refusal::Expectation);
            }
        } else if is("upgrade") {
            // HTTP/2 is not switched to (`headers::upgrade`).
            switch |= is_1_1 && !header.value.trim_ascii().eq_ignore_ascii_case(b"h2c");
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(Refusal::Malformed(
            "Content-Length and Transfer-Encoding stand against each other: send one of them",
        )),
        (None | Some(0), false) if switch => Ok(Framing::Switch),
        (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
        (None, true) => Ok(Framing::Chunked),
    }
}

/// Whether a target surely is a path: nearly all are, and need no second look.
fn is_plain(target: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%?&=+:@!$'()*,;".contains(&byte);
    target.starts_with('/') && target.bytes().all(plain)
}

fn refusal_of(error: httparse::Error) -> Refusal {
    Refusal::Malformed(match error {
        httparse::Error::TooManyHeaders => return Refusal::TooManyLines,
        httparse::Error::HeaderName => "a header's name is malformed, or a line is folded",
        httparse::Error::HeaderValue => "a header's value has a byte that it may not have",
        httparse::Error::Version => "the request's version is not HTTP/1.1 or HTTP/1.0",
        _ => "the request line is malformed",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &str) -> Result<Framing, Refusal> {
        examine(format!("POST /a?b=c HTTP/1.1\r\nhost: a\r\n{lines}\r\n").as_bytes())
    }

    #[test]
    fn a_body_has_one_end() {
        assert_eq!(of(""), Ok(Framing::Length(0)));
        assert_eq!(of("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(of("content-length:\t 007 \r\n"), Ok(Framing::Length(7)));
        assert_eq!(of("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(of("Upgrade: websocket\r\nconnection: upgrade\r\n"), Ok(Framing::Switch));
        assert_eq!(of("Upgrade: h2c\r\nconnection: upgrade\r\n"), Ok(Framing::Length(0)));
        assert_eq!(of("upgrade: x\r\nupgrade: h2c\r\ncontent-length: 0\r\n"), Ok(Framing::Switch));
        assert_eq!(of("upgrade: x\r\ncontent-length: 3\r\n"), Ok(Framing::Length(3)));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for lines in [
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 1\r\n",
            "content-length: 1\r\ncontent-length: 2\r\n",
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: 1, 1\r\n",
            "content-length: +1\r\n",
            "content-length: -1\r\n",
            "content-length: 0x1\r\n",
            "content-length: 1 1\r\n",
            "content-length:\r\n",
            "content-length: 99999999999999999999\r\n",
            "content-length: 9223372036854775808\r\n",
            "transfer-encoding: gzip\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: chunked, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: identity\r\n",
            "transfer-encoding: chunked;q=1\r\n",
            "transfer-encoding: \x0bchunked\r\n",
            "transfer-encoding: \u{e9}\r\n",
            "transfer-encoding:\r\n",
            "transfer-encoding : chunked\r\n",
            "content-length : 1\r\n",
            "transfer\0-encoding: chunked\r\n",
            " content-length: 1\r\n",
            "a: b\r\n content-length: 1\r\n",
            "a: b\r\n\tc\r\n",
            "a: b\rcontent-length: 1\r\n",
            ": a\r\n",
            "no colon\r\n",
        ] {
            assert!(matches!(of(lines), Err(Refusal::Malformed(_))), "{lines:?}: {:?}", of(lines));
        }
    }

    #[test]
    fn what_cannot_be_met_is_refused() {
        for fine in ["100-continue", "100-Continue", "", "100-continue, 100-continue"] {
            assert_eq!(of(&format!("expect: {fine}\r\n")), Ok(Framing::Length(0)), "{fine}");
        }
        for odd in ["200-ok", "100-continue, x", "100-continue;q=1", "\"100-continue\""] {
            assert_eq!(of(&format!("Expect: {odd}\r\n")), Err(Refusal::Expectation), "{odd}");
        }
    }

    #[test]
    fn request_lines() {
        for line in [
            "GET / HTTP/1.1",
            "GET * HTTP/1.1",
            "OPTIONS * HTTP/1.0",
            "GET http://a/b HTTP/1.1",
            "CONNECT a:1 HTTP/1.1",
            "QUERY /a%20b HTTP/1.1",
            "GET /\"{}|^ HTTP/1.1",
        ] {
            let head = format!("{line}\r\nhost: a\r\n\r\n");
            assert_eq!(examine(head.as_bytes()), Ok(Framing::Length(0)), "{line}");
        }
        for line in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            "GET / HTTP/2.0",
            "GET / HTTP/1.1 ",
            "GET /a b HTTP/1.1",
            "GET /\x01 HTTP/1.1",
            "GET http:// HTTP/1.1",
            "GET a:b:c HTTP/1.1",
            "G(T / HTTP/1.1",
            " GET / HTTP/1.1",
        ] {
            let head = format!("{line}\r\nhost: a\r\n\r\n");
            let refused = matches!(examine(head.as_bytes()), Err(Refusal::Malformed(_)));
            assert!(refused, "{line}: {:?}", examine(head.as_bytes()));
        }
        let transfer = b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(matches!(examine(transfer), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn what_is_too_much_is_told_apart() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_URL_BYTES));
        assert_eq!(examine(long.as_bytes()), Err(Refusal::LongUrl));
        assert_eq!(of(&"a: b\r\n".repeat(MAX_HEADERS)), Err(Refusal::TooManyLines));
        assert!(of(&"a: b\r\n".repeat(MAX_HEADERS - 1)).is_ok());
    }
}
