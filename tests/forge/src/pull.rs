//! One pull request as it is kept.

use pando_types::Timestamp;

use crate::git::Size;
use crate::{ForgeError, RepoName};

/// A branch of a repository at a commit.
#[derive(Debug, Clone)]
pub(crate) struct Tip {
    pub(crate) repo: RepoName,
    pub(crate) branch: String,
    pub(crate) sha: String,
}

/// Where a pull request is in its life.
#[derive(Debug, Clone)]
pub(crate) enum PullState {
    Open,
    Closed { at: Timestamp },
    Merged { at: Timestamp, sha: String, by: String },
}

/// A pull request.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) author: String,
    pub(crate) head: Tip,
    pub(crate) base: Tip,
    pub(crate) state: PullState,
    pub(crate) size: Size,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Pull {
    /// `open`, `closed` or `merged`.
    pub(crate) const fn state_name(&self) -> &'static str {
        match self.state {
            PullState::Open => "open",
            PullState::Closed { .. } => "closed",
            PullState::Merged { .. } => "merged",
        }
    }

    /// Whether commits on its head still change it.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, PullState::Open)
    }

    /// The refusal of whatever this state does not allow.
    pub(crate) fn wrong_state(&self) -> ForgeError {
        ForgeError::WrongState {
            repo: self.base.repo.clone(),
            number: self.number,
            state: self.state_name(),
        }
    }
}
