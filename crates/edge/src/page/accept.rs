//! Reading `Accept` as far as the choice between HTML and JSON needs it. Pure.

use http::{HeaderMap, header};

/// Whether the client names HTML and does not like JSON better. A wildcard names
/// nothing: programs send it, browsers always say `text/html`.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let html = weight(headers, "text/html").unwrap_or(0.0);
    html > 0.0 && html >= weight(headers, "application/json").unwrap_or(0.0)
}

/// The `q` of a media type that is named in full.
fn weight(headers: &HeaderMap, wanted: &str) -> Option<f32> {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
        let q = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        // A weight that cannot be read says nothing against the type.
        Some(q.and_then(|q| q.parse().ok()).filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn html(accept: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        prefers_html(&headers)
    }

    #[test]
    fn browsers_get_html_and_programs_json() {
        assert!(html("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(html("TEXT/HTML"));
        assert!(html("application/json;q=0.5, text/html"));
        assert!(!html("*/*"));
        assert!(!html("application/json"));
        assert!(!html("application/json, text/html;q=0.5"));
        assert!(!html("text/html;q=0"));
        assert!(!html("image/avif,image/webp,*/*"));
        assert!(!prefers_html(&HeaderMap::new()));
    }

    proptest! {
        #[test]
        fn any_accept_is_read(accept in "[ -~]{0,60}") {
            html(&accept);
        }
    }
}
