//! Query strings, decoded strictly. axum's own `Query` puts U+FFFD where the
//! bytes are not UTF-8, which would name a different file than was asked for.

use pando_types::PublicError;

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
    fn switches() {
        for (query, on) in [("", false), ("r=0", false), ("r", true), ("r=true", true)] {
            assert_eq!(switch(Some(query), "r"), Ok(on), "{query}");
        }
        assert!(switch(Some("r=maybe"), "r").is_err());
    }
}
