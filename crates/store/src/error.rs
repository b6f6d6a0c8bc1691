//! Why the store could not answer.

use std::path::PathBuf;

use pando_types::{Code, PublicError};

/// SQLite's primary result codes (<https://www.sqlite.org/rescode.html>).
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const FULL: i32 = 13;

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("the database {} cannot be opened", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error(
        "the database's schema cannot be brought up to date (was it written by a newer version?)"
    )]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Others kept it for longer than a caller waits.
    #[error("the database is busy")]
    Busy(#[source] sqlx::Error),
    /// The disk below it is full.
    #[error("the database's disk is full")]
    Full(#[source] sqlx::Error),
    /// It failed.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// A column holds what this server never writes.
    #[error("column `{column}` holds a value that this version does not know")]
    Column {
        /// Which column.
        column: &'static str,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy(error);
        }
        let code = error
            .as_database_error()
            .and_then(|error| error.code())
            .and_then(|code| code.parse::<i32>().ok());
        // The low byte is the primary code of an extended one.
        match code.map(|code| code & 0xff) {
            Some(BUSY | LOCKED) => Self::Busy(error),
            Some(FULL) => Self::Full(error),
            _ => Self::Database(error),
        }
    }
}

impl From<&StoreError> for PublicError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Busy(_) => {
                Self::new(Code::Unavailable, "the server's database is busy: nothing was changed")
                    .retry_after(1)
            }
            StoreError::Full(_) => Self::new(
                Code::InsufficientStorage,
                "the disk of the server's database is full: nothing was changed",
            ),
            StoreError::Open { .. }
            | StoreError::Migrate(_)
            | StoreError::Database(_)
            | StoreError::Column { .. } => Self::internal(),
        }
    }
}
