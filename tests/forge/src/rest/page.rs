//! Pages of a list, as GitHub cuts and links them.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

/// The most items of one page; more asked for is the same as this.
const MAX_PER_PAGE: usize = 100;

/// Which page is wanted.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    per_page: usize,
    page: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { per_page: 30, page: 1 }
    }
}

impl Page {
    /// The page of these items, with a `Link` to the next where there is one.
    pub(super) fn of(self, items: Vec<Value>, address: &str) -> Response {
        let (size, page) = (self.per_page.clamp(1, MAX_PER_PAGE), self.page.max(1));
        let start = size.saturating_mul(page - 1);
        let more = items.len() > start.saturating_add(size);
        let items: Vec<Value> = items.into_iter().skip(start).take(size).collect();
        if !more {
            return Json(items).into_response();
        }
        let mark = if address.contains('?') { '&' } else { '?' };
        let next = format!("<{address}{mark}per_page={size}&page={}>; rel=\"next\"", page + 1);
        ([(header::LINK, next)], Json(items)).into_response()
    }
}
