//! The head of an HTTP/2 request, as far as the HTTP library leaves it unjudged. Pure.
//!
//! Frames end where they end; but the app is spoken to in HTTP/1.1, so a length that
//! two readers could read differently would become a second request there.

use http::{Request, header};

use super::Refusal;
use crate::headers;
use crate::limits::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_URL_BYTES};

/// Judges a head; `is_alone` if no body follows it.
pub(crate) fn examine_stream<T>(request: &Request<T>, is_alone: bool) -> Result<(), Refusal> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let lines = request.headers();
    if target > MAX_URL_BYTES {
        return Err(Refusal::LongUrl);
    }
    if lines.len() > MAX_HEADERS {
        return Err(Refusal::TooManyLines);
    }
    let bytes: usize = lines.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if target + bytes > MAX_HEADER_BYTES {
        return Err(Refusal::TooLarge);
    }
    if !lines
        .get_all(header::EXPECT)
        .iter()
        .all(|value| headers::expects_continue(value.as_bytes()))
    {
        return Err(Refusal::Expectation);
    }
    let mut lengths = lines.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        return Ok(());
    };
    if lengths.next().is_some() {
        return Err(Refusal::Malformed("Content-Length stands there twice"));
    }
    match headers::length(length.as_bytes()) {
        None => Err(Refusal::Malformed("Content-Length takes one number and nothing else")),
        Some(1..) if is_alone => Err(Refusal::Malformed("Content-Length promises a body")),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lengths: &[&str], is_alone: bool) -> Result<(), Refusal> {
        let mut request = Request::builder().uri("http://a/b");
        for length in lengths {
            request = request.header(header::CONTENT_LENGTH, *length);
        }
        examine_stream(&request.body(()).unwrap(), is_alone)
    }

    #[test]
    fn a_length_is_read_one_way() {
        assert_eq!(of(&[], true), Ok(()));
        assert_eq!(of(&["0"], true), Ok(()));
        assert_eq!(of(&["5"], false), Ok(()));
        for (lengths, is_alone) in [
            (&["5", "5"][..], false),
            (&["5", "6"], false),
            (&["5, 5"], false),
            (&["+5"], false),
            (&[""], false),
            (&["9223372036854775808"], false),
            (&["5"], true),
        ] {
            assert!(matches!(of(lengths, is_alone), Err(Refusal::Malformed(_))), "{lengths:?}");
        }
    }

    #[test]
    fn what_is_too_much_is_told_apart() {
        let of = |request: http::request::Builder| {
            examine_stream(&request.body(()).unwrap(), true).unwrap_err()
        };
        let long = format!("/{}", "a".repeat(MAX_URL_BYTES));
        assert_eq!(of(Request::builder().uri(long)), Refusal::LongUrl);
        let large = "a".repeat(MAX_HEADER_BYTES);
        assert_eq!(of(Request::builder().header("a", large)), Refusal::TooLarge);
        let many = (0..=MAX_HEADERS).fold(Request::builder(), |many, _| many.header("a", "b"));
        assert_eq!(of(many), Refusal::TooManyLines);
    }
}
