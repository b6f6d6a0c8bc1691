//! Git on the host: one bare mirror for each repository, from which exactly the
//! commits that are deployed are read.
//!
//! Nothing is ever checked out here, and no credential of the host goes along:
//! a repository is hostile input. [`url`] says which addresses are taken,
//! `program` starts git, [`mirror`] fetches, [`tree`] reads, [`name`] judges refs,
//! `evict` says which mirrors may go.

mod evict;
mod listing;
mod mirror;
mod name;
mod program;
#[cfg(test)]
mod tests;
mod tree;
mod url;

pub(crate) use listing::TreeEntry;
pub(crate) use mirror::{Mirror, Mirrors};
pub(crate) use name::{Wanted, is_branch, is_commit};
pub use url::HostPort;
pub(crate) use url::{GitUrl, UrlError};

use std::time::Duration;

/// Why git did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// It could not be started, or its pipes broke.
    #[error("git {verb} could not run (is git installed?)")]
    Start {
        verb: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("git {verb} failed: {said}")]
    Failed { verb: &'static str, code: Option<i32>, said: String },
    /// It took too long.
    #[error("git {verb} took longer than {} s", limit.as_secs())]
    Timeout { verb: &'static str, limit: Duration },
    /// There is more than is read.
    #[error("the {what} is larger than {} MiB", limit_bytes >> 20)]
    TooLarge { what: &'static str, limit_bytes: u64 },
    /// The repository has no such ref.
    #[error("the repository has no {0}")]
    NoRef(String),
    /// The ref is there, and stands elsewhere.
    #[error("{name} is at {found} and not at {wanted}: it has moved on")]
    Moved { name: String, found: String, wanted: String },
    /// The address may not be reached.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The mirror's folder.
    #[error("the mirror's folder cannot be used")]
    Folder(#[source] std::io::Error),
    /// An answer that cannot be understood.
    #[error("git {0} answered in an unknown form")]
    Unreadable(&'static str),
}
