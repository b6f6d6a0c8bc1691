//! Who waits for a sandbox to be woken, and who is shown a page meanwhile. Pure.

use http::{HeaderMap, Method};

use crate::page;

/// The header by which browsers say what a request is for; programs send none of
/// its kind.
const FETCH_MODE: &str = "sec-fetch-mode";
const FETCH_HEADERS: [&str; 4] = [FETCH_MODE, "sec-fetch-dest", "sec-fetch-site", "sec-fetch-user"];

/// How a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as it takes.
    Hold,
    /// A moment: a person looks at an empty window, and can be shown something.
    Page,
}

impl Patience {
    /// Looks whether a browser opens a page.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let opens = match headers.get(FETCH_MODE) {
            Some(mode) => mode.as_bytes() == b"navigate",
            // An older browser says nothing of what it fetches.
            None => !FETCH_HEADERS.iter().any(|name| headers.contains_key(*name)),
        };
        if method == Method::GET && opens && page::prefers_html(headers) {
            Self::Page
        } else {
            Self::Hold
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn patience(method: Method, lines: &[(&'static str, &'static str)]) -> Patience {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Patience::of(&method, &lines.iter().map(line).collect())
    }

    #[test]
    fn only_the_opening_of_a_page_is_shown_one() {
        let html = ("accept", "text/html,*/*;q=0.8");
        assert_eq!(patience(Method::GET, &[html]), Patience::Page);
        assert_eq!(patience(Method::GET, &[html, ("sec-fetch-mode", "navigate")]), Patience::Page);
        for lines in [
            &[html, ("sec-fetch-mode", "cors")][..],
            &[html, ("sec-fetch-dest", "empty")],
            &[("accept", "*/*"), ("sec-fetch-mode", "navigate")],
            &[("accept", "application/json")],
            &[],
        ] {
            assert_eq!(patience(Method::GET, lines), Patience::Hold, "{lines:?}");
        }
        assert_eq!(patience(Method::POST, &[html]), Patience::Hold);
    }
}
