//! The head of an app's answer, and where its body ends. Pure.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode, Version};

use super::Answer;
use crate::headers;
use crate::limits::{MAX_HEADER_BYTES, MAX_HEADERS};

/// What is ahead of an answer's head on its connection (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// So many bytes of body.
    Length(u64),
    /// A chunked body.
    Chunked,
    /// A body that ends with the connection.
    Rest,
}

/// A head that was read.
#[derive(Debug)]
pub(super) enum Head {
    /// Another one follows.
    Interim(StatusCode),
    Final(Answer),
}

/// What came is no answer that everybody would read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Takes the head of an answer to `method` out of `buf`, if all of it is there.
/// `searched` is how much of `buf` was looked through before.
pub(super) fn take_head(
    buf: &mut BytesMut,
    searched: &mut usize,
    method: &Method,
) -> Result<Option<Head>, Malformed> {
    let Some(len) = end_of_head(buf, *searched) else {
        *searched = buf.len();
        return Ok(None);
    };
    *searched = 0;
    if len > MAX_HEADER_BYTES {
        return Err(Malformed);
    }
    read(buf.split_to(len).freeze(), method).map(Some)
}

/// The length of the head at the start of `bytes`; a line may end in LF alone.
fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    // The end may have begun in what was searched.
    let from = searched.saturating_sub(3);
    memchr::memchr_iter(b'\n', bytes.get(from..)?).map(|at| from + at + 1).find(|&end| {
        let before = bytes.get(..end - 1).unwrap_or_default();
        // Empty lines before a head are none of its own.
        let line = before.strip_suffix(b"\r").unwrap_or(before);
        line.ends_with(b"\n") && line.iter().any(|byte| !b"\r\n".contains(byte))
    })
}

fn read(head: Bytes, method: &Method) -> Result<Head, Malformed> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        &head,
        &mut lines,
    );
    if !outcome.is_ok_and(|status| status.is_complete()) {
        return Err(Malformed);
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed)?;
    if status.is_informational() {
        return Ok(Head::Interim(status));
    }
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + HEADERS_ADDED);
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed)?;
        // Shares the head's bytes.
        let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value));
        headers.append(name, value.map_err(|_| Malformed)?);
    }
    let body = body_of(status, version, &mut headers, method)?;
    let keeps = body != Ahead::Rest && headers::keeps_alive(&headers, version);
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = headers;
    Ok(Head::Final(Answer { head, body, keeps }))
}

/// Room for what the edge and the HTTP library add to an answer.
const HEADERS_ADDED: usize = 2;

/// Where the body ends. Lengths that agree become one.
fn body_of(
    status: StatusCode,
    version: Version,
    headers: &mut HeaderMap,
    method: &Method,
) -> Result<Ahead, Malformed> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let this = headers::length(value.as_bytes()).ok_or(Malformed)?;
        if length.is_some_and(|length| length != this) {
            return Err(Malformed);
        }
        length = Some(this);
    }
    if let Some(length) = length
        && headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some()
    {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let is_coded = headers.contains_key(header::TRANSFER_ENCODING);
    if is_coded && (version == Version::HTTP_10 || headers::has_foreign_coding(headers)) {
        return Err(Malformed);
    }
    let has_none = *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match length {
        _ if has_none => Ahead::Length(0),
        _ if is_coded => Ahead::Chunked,
        Some(length) => Ahead::Length(length),
        None => Ahead::Rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(text: &str, method: &Method) -> Result<Option<Head>, Malformed> {
        take_head(&mut BytesMut::from(text), &mut 0, method)
    }

    fn answer(lines: &str) -> Result<(Ahead, bool), Malformed> {
        match take(&format!("HTTP/1.1 200 OK\r\n{lines}\r\nbody"), &Method::GET)? {
            Some(Head::Final(answer)) => Ok((answer.body, answer.keeps)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_has_one_end() {
        assert_eq!(answer("content-length: 4\r\n"), Ok((Ahead::Length(4), true)));
        assert_eq!(
            answer("content-length: 4\r\nContent-Length: 4\r\n"),
            Ok((Ahead::Length(4), true))
        );
        assert_eq!(answer("transfer-encoding: Chunked\r\n"), Ok((Ahead::Chunked, true)));
        let both = answer("content-length: 9\r\ntransfer-encoding: chunked\r\n");
        assert_eq!(both, Ok((Ahead::Chunked, true)));
        assert_eq!(
            answer("content-length: 4\r\nconnection: x, Close\r\n"),
            Ok((Ahead::Length(4), false))
        );
        assert_eq!(answer(""), Ok((Ahead::Rest, false)));
        for lines in [
            "content-length: 4\r\ncontent-length: 5\r\n",
            "content-length: 4, 4\r\n",
            "content-length: +4\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "a b: c\r\n",
            "a: b\r\n c\r\n",
            "content-length : 4\r\n",
        ] {
            assert_eq!(answer(lines), Err(Malformed), "{lines:?}");
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        let of = |status: u16, method: Method| {
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\n\r\n");
            match take(&text, &method) {
                Ok(Some(Head::Final(answer))) => {
                    assert_eq!(answer.head.headers()["content-length"], "4");
                    answer.body
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(of(200, Method::HEAD), Ahead::Length(0));
        assert_eq!(of(204, Method::GET), Ahead::Length(0));
        assert_eq!(of(304, Method::GET), Ahead::Length(0));
        assert_eq!(of(200, Method::GET), Ahead::Length(4));
    }

    #[test]
    fn old_servers_close() {
        let of = |lines: &str| match take(&format!("HTTP/1.0 200 OK\r\n{lines}\r\n"), &Method::GET)
        {
            Ok(Some(Head::Final(answer))) => Ok((answer.body, answer.keeps)),
            Err(malformed) => Err(malformed),
            other => panic!("{other:?}"),
        };
        assert_eq!(of("content-length: 4\r\n"), Ok((Ahead::Length(4), false)));
        let kept = of("content-length: 4\r\nconnection: keep-alive\r\n");
        assert_eq!(kept, Ok((Ahead::Length(4), true)));
        assert_eq!(of("transfer-encoding: chunked\r\n"), Err(Malformed));
    }

    #[test]
    fn what_is_no_head_is_not_taken() {
        assert!(matches!(take("HTTP/1.1 200 OK\r\na: b\r\n", &Method::GET), Ok(None)));
        assert!(matches!(
            take("HTTP/1.1 100 Continue\r\n\r\n", &Method::GET),
            Ok(Some(Head::Interim(_)))
        ));
        assert!(take("HTTP/1.1 200 OK\n\n", &Method::GET).unwrap().is_some());
        assert!(take("\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &Method::GET).unwrap().is_some());
        for text in ["<html>\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n"] {
            assert!(take(text, &Method::GET).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_read_as_the_whole_does(text in "(HTTP/1.1 200 OK\r\n)?[ -~\r\n]{0,60}(\r\n)?", cut in 1usize..9) {
            let whole = take(&text, &Method::GET).map(|head| head.is_some());
            let (mut buf, mut searched) = (BytesMut::new(), 0);
            let mut pieces = Ok(false);
            for piece in text.as_bytes().chunks(cut) {
                buf.extend_from_slice(piece);
                pieces = take_head(&mut buf, &mut searched, &Method::GET).map(|head| head.is_some());
                if pieces != Ok(false) {
                    break;
                }
            }
            prop_assert_eq!(whole, pieces);
        }
    }
}
