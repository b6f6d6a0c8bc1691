//! Pages of a list that is read oldest first.

use std::fmt::Display;

use pando_types::page::Cursor;
use sqlx::{QueryBuilder, Sqlite};

/// Ends the query of a list, which has a condition so far: at most `limit` rows after
/// `after`, oldest first.
pub(crate) fn push<Id: Display>(
    query: &mut QueryBuilder<Sqlite>,
    after: Option<Cursor<Id>>,
    limit: u32,
) {
    if let Some(after) = after {
        query.push(" AND (created_ms, id) > (").push_bind(after.created.as_millis());
        query.push(", ").push_bind(after.id.to_string()).push(")");
    }
    query.push(" ORDER BY created_ms, id LIMIT ").push_bind(i64::from(limit));
}
