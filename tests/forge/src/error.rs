//! What the library refuses or fails at.

use crate::RepoName;
use crate::git::GitError;

/// Why the stand-in could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// Not a name that a repository may have.
    #[error("`{0}` is not a repository name: write owner/name, of letters, digits, `.`, `_`, `-`")]
    BadName(String),
    /// Not a path that a commit may hold.
    #[error("`{0}` is not a path inside a repository")]
    BadPath(String),
    /// Not a name that a branch may have.
    #[error("`{0}` is not a branch name")]
    BadBranch(String),
    /// The repository is not there.
    #[error("no repository `{0}`")]
    NoRepository(RepoName),
    /// The repository is there already.
    #[error("repository `{0}` exists already")]
    RepositoryExists(RepoName),
    /// The branch is not there.
    #[error("`{repo}` has no branch `{branch}`: push it first")]
    NoBranch {
        /// Where it was looked for.
        repo: RepoName,
        /// Its name.
        branch: String,
    },
    /// The pull request is not there.
    #[error("`{repo}` has no pull request {number}")]
    NoPullRequest {
        /// Where it was looked for.
        repo: RepoName,
        /// Its number.
        number: u64,
    },
    /// The pull request is open where it should be closed, or the other way round.
    #[error("pull request {number} of `{repo}` is {state}")]
    WrongState {
        /// Its repository.
        repo: RepoName,
        /// Its number.
        number: u64,
        /// What it is: `open`, `closed` or `merged`.
        state: &'static str,
    },
    /// An open pull request has the same head and base.
    #[error("pull request {number} of `{repo}` is open for this branch already")]
    PullRequestExists {
        /// Its repository.
        repo: RepoName,
        /// Its number.
        number: u64,
    },
    /// The head holds no commit that the base does not hold.
    #[error("`{branch}` of `{repo}` has no commit that its base does not have")]
    NothingToMerge {
        /// The head's repository.
        repo: RepoName,
        /// The head's branch.
        branch: String,
    },
    /// Both sides changed the same lines.
    #[error("pull request {number} of `{repo}` does not merge cleanly")]
    Conflict {
        /// Its repository.
        repo: RepoName,
        /// Its number.
        number: u64,
    },
    /// No delivery of that id was made.
    #[error("no delivery {0}")]
    NoDelivery(uuid::Uuid),
    /// There is nowhere to send a webhook to.
    #[error("no webhook is set")]
    NoWebhook,
    /// The root folder holds something else.
    #[error(
        "{0} is not empty and was not made by pando-forge: name an empty folder, it is emptied at each start"
    )]
    ForeignRoot(std::path::PathBuf),
    /// The machine refused.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client could not be made.
    #[error("cannot make the HTTP client")]
    Client(#[source] reqwest::Error),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl ForgeError {
    /// For `map_err`: the same failure with what was tried.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
