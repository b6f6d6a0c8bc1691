//! Query strings, decoded strictly. axum's own `Query` puts U+FFFD where the
//! bytes are not UTF-8, which would name a different file than was asked for.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use pando_types::{Code, PublicError};

use crate::extract::shown;

/// The value of `name` in a raw query; `None` when it is absent.
pub fn value(query: Option<&str>, name: &str) -> Result<Option<String>, PublicError> {
    let mut found = None;
    for pair in query.unwrap_or("").split('&') {
        let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key).as_deref() != Some(name.as_bytes()) {
            continue;
        }
        let text =
            decode(raw).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
                PublicError::invalid(name, format!("`{name}` must be percent-encoded UTF-8"))
            })?;
        if found.replace(text).is_some() {
            return Err(PublicError::invalid(name, format!("`{name}` is given twice")));
        }
    }
    Ok(found)
}

/// The value of a switch: absent, `false` and `0` are off; empty, `true` and `1` are on.
pub fn switch(query: Option<&str>, name: &str) -> Result<bool, PublicError> {
    match value(query, name)?.as_deref() {
        None | Some("false" | "0") => Ok(false),
        Some("" | "true" | "1") => Ok(true),
        Some(_) => Err(PublicError::invalid(name, format!("`{name}` must be `true` or `false`"))),
    }
}

/// The value of a number in `range`, whole where `N` is; `None` when it is absent.
pub fn number<N: FromStr + PartialOrd + Display>(
    query: Option<&str>,
    name: &str,
    range: RangeInclusive<N>,
) -> Result<Option<N>, PublicError> {
    let Some(text) = value(query, name)? else { return Ok(None) };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.map(Some).ok_or_else(|| {
        let (least, most) = range.into_inner();
        let message = format!("`{name}` is `{}`; it must be from {least} to {most}", shown(&text));
        PublicError::invalid(name, message)
    })
}

/// The pairs whose names begin with `prefix`, by the rest of the name; at most `most`.
pub fn pairs(
    query: Option<&str>,
    prefix: &str,
    most: usize,
) -> Result<BTreeMap<String, String>, PublicError> {
    let mut found = BTreeMap::new();
    for pair in query.unwrap_or("").split('&') {
        let key = decode(pair.split_once('=').map_or(pair, |(key, _)| key));
        let Some(rest) = key.as_deref().and_then(|key| key.strip_prefix(prefix.as_bytes())) else {
            continue;
        };
        let name = String::from_utf8(rest.to_vec())
            .map_err(|_| PublicError::invalid(prefix, "a key must be percent-encoded UTF-8"))?;
        let field = format!("{prefix}{name}");
        if let Some(value) = value(query, &field)? {
            found.insert(name, value);
        }
        if found.len() > most {
            let message = format!("at most {most} pairs may be asked for");
            return Err(PublicError::invalid(prefix, message));
        }
    }
    Ok(found)
}

/// The pairs of a form's body, in order.
pub fn form(body: &str) -> Result<Vec<(String, String)>, PublicError> {
    let text = |raw: &str| decode(raw).and_then(|bytes| String::from_utf8(bytes).ok());
    let pairs = body.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((text(key)?, text(value)?))
    });
    pairs.collect::<Option<_>>().ok_or_else(|| {
        let message = "the body must be a form: percent-encoded UTF-8";
        PublicError::new(Code::InvalidRequest, message)
    })
}

/// Percent-encoded UTF-8 where a `+` is itself.
pub fn percent_decoded(text: &str) -> Option<String> {
    String::from_utf8(decode(&text.replace('+', "%2B"))?).ok()
}

/// Percent-decoding of a form: `+` is a space. `None` for a `%` without two hex digits.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            byte => byte,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(query: &str) -> Result<Option<String>, Option<String>> {
        value(Some(query), "path").map_err(|error| error.field)
    }

    #[test]
    fn values_are_decoded() {
        assert_eq!(path("path=/a%20b+c%2Bd"), Ok(Some("/a b c+d".into())));
        assert_eq!(path("x=1&path=%2Fn%C3%A4he&y"), Ok(Some("/nähe".into())));
        assert_eq!(path("path"), Ok(Some(String::new())));
        assert_eq!(path("other=1"), Ok(None));
        assert_eq!(value(None, "path"), Ok(None));
        assert_eq!(path("path=/a%00b"), Ok(Some("/a\0b".into())));
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for query in ["path=%FF", "path=%", "path=%2", "path=%zz", "path=/a&path=/b"] {
            assert_eq!(path(query), Err(Some("path".into())), "{query}");
        }
    }

    #[test]
    fn numbers_have_their_range() {
        let read = |text: &str| number(Some(text), "n", 1_u64..=9).map_err(|error| error.field);
        assert_eq!(read("n=9&x=1"), Ok(Some(9)));
        assert_eq!(read("x=1"), Ok(None));
        let parts = |text: &str| number(Some(text), "n", 0.0..=1.5).map_err(|error| error.field);
        assert_eq!(parts("n=1.25"), Ok(Some(1.25)));
        for text in ["n=1.6", "n=-0.1", "n=NaN", "n=inf", "n=x"] {
            assert_eq!(parts(text), Err(Some("n".into())), "{text}");
        }
        for text in ["n=0", "n=10", "n=", "n=-1", "n=1.0", "n=99999999999999999999", "n=1&n=1"] {
            assert_eq!(read(text), Err(Some("n".into())), "{text}");
        }
    }

    #[test]
    fn pairs_are_found_by_their_prefix() {
        let read = |text: &str| pairs(Some(text), "m.", 2).map_err(|error| error.field);
        let found = read("m.a=1&n.b=2&m.c%20d=%C3%A4&m").unwrap();
        assert_eq!(found, BTreeMap::from([("a".into(), "1".into()), ("c d".into(), "ä".into())]));
        assert_eq!(read("m.a=1&m.a=2"), Err(Some("m.a".into())));
        assert_eq!(read("m.a=1&m.b=2&m.c=3"), Err(Some("m.".into())));
        assert_eq!(read("m.%FF=1"), Err(Some("m.".into())));
    }

    #[test]
    fn a_form_is_its_pairs() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            form("a=1&b+c=%C3%A4&&d").unwrap(),
            [pair("a", "1"), pair("b c", "ä"), pair("d", "")]
        );
        assert!(form("a=%FF").is_err() && form("%=1").is_err());
        assert_eq!(percent_decoded("a+b%20%C3%A4").as_deref(), Some("a+b ä"));
        assert_eq!(percent_decoded("%FF"), None);
    }

    #[test]
    fn switches() {
        for (query, on) in [("", false), ("r=0", false), ("r", true), ("r=true", true)] {
            assert_eq!(switch(Some(query), "r"), Ok(on), "{query}");
        }
        assert!(switch(Some("r=maybe"), "r").is_err());
    }
}
