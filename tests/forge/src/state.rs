//! What the stand-in keeps in memory: everything of GitHub's that is not git.

use std::collections::BTreeMap;

use pando_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::git::GitRepository;
use crate::hook::{Delivery, Webhook};
use crate::pull::Pull;
use crate::record::Exchange;
use crate::{ForgeError, RepoName};

/// The most deliveries that are remembered; the oldest go first.
const MAX_DELIVERIES: usize = 1000;
/// The most exchanges that are remembered; the oldest go first.
const MAX_EXCHANGES: usize = 5000;

/// A comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id, unique in the stand-in.
    pub id: u64,
    /// The pull request it stands under.
    pub number: u64,
    /// Who wrote it.
    pub author: String,
    /// Its text, Markdown.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last edited, or written.
    pub updated_at: Timestamp,
}

/// A status that was set on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its id, unique in the stand-in.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// Who set it.
    pub author: String,
    /// `error`, `failure`, `pending` or `success`.
    pub state: String,
    /// What tells this status from others of the same commit.
    pub context: String,
    /// One line for a person.
    pub description: Option<String>,
    /// Where the details are.
    pub target_url: Option<String>,
    /// When it was set.
    pub created_at: Timestamp,
}

/// What somebody may do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Everything.
    Admin,
    /// Push.
    Write,
    /// Read: what anybody may.
    Read,
    /// Nothing.
    None,
}

impl Permission {
    /// GitHub's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Write => "write",
            Self::Read => "read",
            Self::None => "none",
        }
    }
}

/// One repository.
#[derive(Debug)]
pub(crate) struct RepoRow {
    pub(crate) id: u64,
    pub(crate) name: RepoName,
    pub(crate) parent: Option<RepoName>,
    pub(crate) default_branch: String,
    pub(crate) created_at: Timestamp,
    pub(crate) pushed_at: Timestamp,
    pub(crate) git: GitRepository,
    /// Held while branches change, until the change is announced.
    pub(crate) turn: std::sync::Arc<tokio::sync::Mutex<()>>,
    pub(crate) permissions: BTreeMap<String, Permission>,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) statuses: Vec<Status>,
}

impl RepoRow {
    /// What `login` may do here: anybody may read.
    pub(crate) fn permission(&self, login: &str) -> Permission {
        match self.permissions.get(login) {
            Some(permission) => *permission,
            None if login == self.name.owner() => Permission::Admin,
            None => Permission::Read,
        }
    }

    /// How GitHub describes an author to readers of this repository.
    pub(crate) fn association(&self, login: &str) -> &'static str {
        match self.permission(login) {
            _ if login == self.name.owner() => "OWNER",
            Permission::Admin | Permission::Write => "COLLABORATOR",
            Permission::Read | Permission::None => "NONE",
        }
    }

    /// The pull request of that number.
    pub(crate) fn pull(&self, number: u64) -> Result<&Pull, ForgeError> {
        let missing = || ForgeError::NoPullRequest { repo: self.name.clone(), number };
        self.pulls.get(&number).ok_or_else(missing)
    }
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) repos: BTreeMap<RepoName, RepoRow>,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) exchanges: Vec<Exchange>,
    last_id: u64,
}

impl State {
    /// Nothing, but for where webhooks go.
    pub(crate) fn sending_to(webhook: Option<Webhook>) -> Self {
        Self { webhook, ..Self::default() }
    }

    /// The next id, of whatever kind.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The repository of that name.
    pub(crate) fn repo(&self, name: &RepoName) -> Result<&RepoRow, ForgeError> {
        self.repos.get(name).ok_or_else(|| ForgeError::NoRepository(name.clone()))
    }

    /// The repository of that name, to change.
    pub(crate) fn repo_mut(&mut self, name: &RepoName) -> Result<&mut RepoRow, ForgeError> {
        self.repos.get_mut(name).ok_or_else(|| ForgeError::NoRepository(name.clone()))
    }

    /// Remembers a delivery.
    pub(crate) fn remember_delivery(&mut self, delivery: Delivery) {
        if self.deliveries.len() == MAX_DELIVERIES {
            self.deliveries.remove(0);
        }
        self.deliveries.push(delivery);
    }

    /// Remembers an exchange.
    pub(crate) fn remember_exchange(&mut self, exchange: Exchange) {
        if self.exchanges.len() == MAX_EXCHANGES {
            self.exchanges.remove(0);
        }
        self.exchanges.push(exchange);
    }
}
