//! How a guarded write ended.

use sqlx::sqlite::SqliteQueryResult;

/// How a compare-and-set ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    /// The row was as expected and is changed.
    Done,
    /// There is no such row.
    Missing,
    /// The row is not as expected: somebody was faster, or owns it now. Nothing changed.
    Stale,
}

/// How an insert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Insert {
    /// The row is there now.
    Done,
    /// One that stands against it was there before. Nothing changed.
    Exists,
}

impl Insert {
    pub(crate) fn of(result: &SqliteQueryResult) -> Self {
        if result.rows_affected() == 0 { Self::Exists } else { Self::Done }
    }
}
