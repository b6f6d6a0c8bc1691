//! `?limit=` and `?cursor=`: which page of a list is asked for.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pando_types::PublicError;
use pando_types::limits::{MAX_CURSOR_BYTES, MAX_PAGE_ITEMS};
use pando_types::page::PageRequest;
use utoipa::IntoParams;

use crate::query;
use crate::refusal::Refused;

/// The query of a list, as its route describes it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes; `PageOf` reads")]
pub struct Paging {
    /// How many items at most; all that fit on one page when absent.
    #[param(minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before; the first page when absent.
    #[param(max_length = 55, pattern = "^[0-9]{1,18}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    cursor: Option<String>,
}

/// The page that a request asks for.
#[derive(Debug)]
pub struct PageOf<I>(pub PageRequest<I>);

impl<S: Send + Sync, I: FromStr + Send> FromRequestParts<S> for PageOf<I> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        Ok(Self(read(parts.uri.query())?))
    }
}

fn read<I: FromStr>(query: Option<&str>) -> Result<PageRequest<I>, PublicError> {
    let limit = query::number(query, "limit", 1..=MAX_PAGE_ITEMS)?.unwrap_or(MAX_PAGE_ITEMS);
    let bad = || PublicError::invalid("cursor", "`cursor` is not a `next_cursor` of this list");
    let after = match query::value(query, "cursor")? {
        None => None,
        Some(text) if text.len() > MAX_CURSOR_BYTES => return Err(bad()),
        Some(text) => Some(text.parse().map_err(|_| bad())?),
    };
    Ok(PageRequest { after, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::page::Cursor;
    use pando_types::{SandboxId, Timestamp};

    #[test]
    fn a_page_is_read_or_its_field_is_named() {
        let page = |text: &str| read::<SandboxId>(Some(text)).map_err(|error| error.field);
        assert_eq!(page(""), Ok(PageRequest::default()));
        let cursor = Cursor { created: Timestamp::from_millis(7), id: SandboxId::new() };
        let asked = page(&format!("limit=5&cursor={cursor}"));
        assert_eq!(asked, Ok(PageRequest { after: Some(cursor), limit: 5 }));
        for text in ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1&limit=2"] {
            assert_eq!(page(text), Err(Some("limit".into())), "{text}");
        }
        for text in ["cursor=", "cursor=7_x", "cursor=%FF", &format!("cursor={}", "1".repeat(999))]
        {
            assert_eq!(page(text), Err(Some("cursor".into())), "{text}");
        }
    }
}
