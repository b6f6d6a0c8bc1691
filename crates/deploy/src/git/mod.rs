//! Git on the host: one bare mirror for each repository and org, from which exactly the
//! commits that are deployed are read.
//!
//! Nothing is ever checked out here, nothing of a repository is run, and no credential of
//! the host goes along: a repository is hostile input. [`url`] and `host` say which
//! addresses are taken, `access` whose they are and with what they are read; `program`
//! starts git; `remote` is a repository at its forge; `fetch` brings in a commit,
//! `submodule` and `lfs` what belongs to it; [`mirror`] is where it lies, `keep` and
//! `evict` say what of it stays; [`tree`] hands it out as a tar (`tar`), with a small
//! repository (`repository`, `index`), and `listing` by name.

mod access;
mod evict;
mod fetch;
mod host;
mod index;
mod keep;
mod key;
mod lfs;
mod listing;
mod mirror;
mod name;
mod program;
mod remote;
mod repository;
mod scratch;
mod submodule;
mod tar;
#[cfg(test)]
mod tests;
mod tree;
mod url;
mod web;

pub(crate) use access::{Credential, Source};
pub use host::HostPort;
pub(crate) use key::KeyPair;
pub(crate) use listing::TreeEntry;
pub(crate) use mirror::{Mirror, Mirrors};
pub(crate) use name::{Wanted, is_branch, is_commit};
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
    /// The forge wants proof, or another one.
    #[error("{host} does not let this app read the repository{}", denied_hint(*is_known))]
    Denied { host: String, is_known: bool },
    /// An ssh address without a key.
    #[error(
        "{0} is asked over ssh, and the app has no deploy key: make one (POST /v1/apps/ID/deploy-key, pando app deploy-key) and add it to the repository"
    )]
    NoKey(String),
    /// The repository is elsewhere, at an address that is not taken.
    #[error("the forge says that the repository has moved to {0}")]
    Redirect(String),
    /// An answer over https that is not what was asked for.
    #[error("{0}")]
    Web(String),
    /// There are more than are taken.
    #[error("there are more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    /// One of its submodules.
    #[error("submodule `{path}` ({url}): {error}")]
    Submodule { path: String, url: String, error: Box<GitError> },
    /// A file in LFS.
    #[error("the file {id} in LFS: {error}")]
    Lfs { id: String, error: Box<GitError> },
    /// Files in LFS of a repository that is reached by ssh.
    #[error(
        "the repository has files in LFS, which are fetched over https alone: give the app an https address and a git_token"
    )]
    LfsOverSsh,
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

fn denied_hint(is_known: bool) -> &'static str {
    if is_known {
        ": its git_token or deploy key is refused there"
    } else {
        ": it is private or not there; a git_token, or a deploy key and an ssh address, opens it"
    }
}
