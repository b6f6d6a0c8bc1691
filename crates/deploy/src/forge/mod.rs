//! Forges: where pull requests are, and where people read how their preview is.
//!
//! [`Forge`] is what deployments say to one; `github` speaks to GitHub and to
//! whoever answers as it does. `comment` is the text, `report` the jobs that
//! carry it there; `late` knows what it told of last. A forge that fails never fails a deployment.

mod comment;
mod github;
pub(crate) mod late;
pub(crate) mod report;
mod repository;

pub use github::GitHub;
pub(crate) use repository::{Repository, is_full_name, moment};

use async_trait::async_trait;
use pando_types::Timestamp;

/// How a commit is, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitState {
    /// A deployment is under way.
    Pending,
    /// It is live.
    Success,
    /// It could not be deployed.
    Failure,
    /// Nobody wants it deployed any more.
    Error,
}

/// What is said at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// The commit's id.
    pub sha: String,
    /// How it is.
    pub state: CommitState,
    /// One line.
    pub description: String,
    /// Where to look.
    pub target_url: Option<String>,
}

/// How a pull request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestState {
    /// Whether it is neither closed nor merged.
    pub is_open: bool,
    /// When it last changed, by the forge's clock; `None` where it does not say.
    pub updated_at: Option<Timestamp>,
    /// By which the forge knows the repository that it is one of.
    pub addresses: Vec<String>,
}

/// Why a forge did not take what was said.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// It was not reached, or broke off.
    #[error("the forge cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It said no.
    #[error("the forge answered {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// It answered what cannot be understood.
    #[error("the forge's answer makes no sense: {0}")]
    Unreadable(&'static str),
}

/// What becomes of a comment that is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It is made.
    Make,
    /// Nothing: there is only news for who has read it before.
    Leave,
}

/// A place with pull requests.
#[async_trait]
pub trait Forge: Send + Sync + 'static {
    /// Replaces the text of the one comment that holds `marker`.
    async fn upsert_comment(
        &self,
        repo: &str,
        pr_number: u64,
        marker: &str,
        body: &str,
        absent: Absent,
    ) -> Result<(), ForgeError>;

    /// Says how a commit is.
    async fn set_status(&self, repo: &str, status: &CommitStatus) -> Result<(), ForgeError>;

    /// Asks how a pull request is.
    async fn pull_request(&self, repo: &str, number: u64) -> Result<PullRequestState, ForgeError>;
}
