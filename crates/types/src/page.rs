//! Lists in pages: where one begins, and what comes with it.
//!
//! A page is told by the last item before it, never by a count, so nothing is
//! missed or seen twice while others come and go.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;
use crate::limits::MAX_PAGE_ITEMS;

/// A place in a list that is sorted by creation: after this item.
///
/// As text it is opaque to clients: they send back what they got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<I> {
    /// When the item was created.
    pub created: Timestamp,
    /// The item.
    pub id: I,
}

/// The text is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a cursor that this list gave out")]
pub struct ParseCursorError;

impl<I: fmt::Display> fmt::Display for Cursor<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.created.as_millis(), self.id)
    }
}

impl<I: FromStr> FromStr for Cursor<I> {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let (millis, id) = text.split_once('_').ok_or(ParseCursorError)?;
        let millis = millis.parse().map_err(|_| ParseCursorError)?;
        let id = id.parse().map_err(|_| ParseCursorError)?;
        Ok(Self { created: Timestamp::from_millis(millis), id })
    }
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<I> {
    /// After which item; from the start where there is none.
    pub after: Option<Cursor<I>>,
    /// How many items at most: 1 to [`MAX_PAGE_ITEMS`].
    pub limit: u32,
}

impl<I> Default for PageRequest<I> {
    /// The first page, as long as one may be.
    fn default() -> Self {
        Self { after: None, limit: MAX_PAGE_ITEMS }
    }
}

impl<I> PageRequest<I> {
    /// How many rows to read: one more than are shown tells whether more follow.
    #[must_use]
    pub const fn rows(&self) -> u32 {
        self.limit + 1
    }
}

/// A page of a list, as every list route returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The items, under their noun where public clients look for that.
    #[serde(alias = "snapshots")]
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// All there is, on one page.
    #[must_use]
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// The page that `rows` make, read as [`PageRequest::rows`] says.
    #[must_use]
    pub fn of<R, I: fmt::Display>(
        mut rows: Vec<R>,
        page: &PageRequest<I>,
        place: impl Fn(&R) -> Cursor<I>,
        item: impl FnMut(&R) -> T,
    ) -> Self {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| place(row).to_string());
        Self { items: rows.iter().map(item).collect(), next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SandboxId;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is_one() {
        let cursor = Cursor { created: Timestamp::from_millis(-7), id: SandboxId::new() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in
            ["", "_", "7", "7_x", "x_6f1c1f3e-8f57-4b5e-9a51-6d1f0d5a7c11", "9999999999999999999_a"]
        {
            assert_eq!(text.parse::<Cursor<SandboxId>>(), Err(ParseCursorError), "{text}");
        }
    }

    #[test]
    fn only_a_page_with_more_behind_it_has_a_cursor() {
        let place = |number: &u32| Cursor { created: Timestamp::from_millis(0), id: *number };
        let page = PageRequest { after: None, limit: 2 };
        let list = |rows: Vec<u32>| List::of(rows, &page, place, |number| *number);
        assert_eq!(list(vec![1, 2]), List::whole(vec![1, 2]));
        assert_eq!(
            list(vec![1, 2, 3]),
            List { items: vec![1, 2], next_cursor: Some("0_2".into()) }
        );
        assert_eq!(list(vec![]), List::whole(vec![]));
    }
}
