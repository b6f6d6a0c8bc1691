//! What a test does to one repository: commit and push here, pull requests in `pull_requests`.

mod pull_requests;

use std::sync::Arc;

use pando_types::{Clock, SystemClock};

use crate::forge::Inner;
use crate::git::{GitRepository, branch_ref};
use crate::hook::Delivery;
use crate::state::{Comment, Permission, RepoRow, Status};
use crate::{ForgeError, RepoName, change};

pub use pull_requests::PullRequest;

/// One repository of a stand-in.
#[derive(Debug, Clone)]
pub struct Repo {
    forge: Arc<Inner>,
    name: RepoName,
}

/// A branch that was just moved.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The branch's new commit.
    pub sha: String,
    /// The webhooks sent.
    pub deliveries: Vec<Delivery>,
}

impl Repo {
    pub(crate) fn open(forge: &Arc<Inner>, name: RepoName) -> Result<Self, ForgeError> {
        forge.state().repo(&name)?;
        Ok(Self { forge: Arc::clone(forge), name })
    }

    pub(crate) async fn create(
        forge: &Arc<Inner>,
        name: RepoName,
        files: &[(&str, &[u8])],
        branch: &str,
    ) -> Result<Self, ForgeError> {
        let path = free_path(forge, &name)?;
        let git = GitRepository::create(path, branch).await?;
        git.commit(branch, None, files, "First commit").await?;
        Self::enter(forge, name, None, branch.to_owned(), git)
    }

    pub(crate) async fn fork(
        forge: &Arc<Inner>,
        parent: RepoName,
        name: RepoName,
    ) -> Result<Self, ForgeError> {
        let (path, from) = (free_path(forge, &name)?, forge.repository(&parent)?);
        let branch = forge.state().repo(&parent)?.default_branch.clone();
        let git = GitRepository::fork(path, &from, &branch).await?;
        Self::enter(forge, name, Some(parent), branch, git)
    }

    /// Enters a repository that is ready on disk into the rows.
    fn enter(
        forge: &Arc<Inner>,
        name: RepoName,
        parent: Option<RepoName>,
        default_branch: String,
        git: GitRepository,
    ) -> Result<Self, ForgeError> {
        let now = SystemClock.now();
        let mut state = forge.state();
        let row = RepoRow {
            id: state.next_id(),
            name: name.clone(),
            parent,
            default_branch,
            created_at: now,
            pushed_at: now,
            git,
            turn: Arc::default(),
            permissions: [].into(),
            pulls: [].into(),
            comments: [].into(),
            statuses: Vec::new(),
        };
        state.repos.insert(name.clone(), row);
        drop(state);
        Ok(Self { forge: Arc::clone(forge), name })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &RepoName {
        &self.name
    }

    /// The address for `git clone`.
    #[must_use]
    pub fn clone_url(&self) -> String {
        format!("{}/{}.git", self.forge.url, self.name)
    }

    /// The commit a branch is at.
    ///
    /// # Errors
    /// [`ForgeError::NoBranch`], or a git that fails.
    pub async fn head(&self, branch: &str) -> Result<String, ForgeError> {
        head(&self.forge.repository(&self.name)?, &self.name, branch).await
    }

    /// Lets `login` do this much here.
    ///
    /// # Errors
    /// [`ForgeError::NoRepository`].
    pub fn set_permission(&self, login: &str, permission: Permission) -> Result<(), ForgeError> {
        let mut state = self.forge.state();
        state.repo_mut(&self.name)?.permissions.insert(login.to_owned(), permission);
        Ok(())
    }

    /// Adds a commit to a branch (made from the default branch where it is missing)
    /// and announces nothing. Files that are not named stay.
    ///
    /// # Errors
    /// A bad path or branch name, or a git that fails.
    pub async fn commit(
        &self,
        branch: &str,
        files: &[(&str, &[u8])],
        message: &str,
    ) -> Result<String, ForgeError> {
        let turn = self.forge.turn(&self.name);
        let _turn = turn.lock().await;
        self.commit_now(branch, files, message).await
    }

    async fn commit_now(
        &self,
        branch: &str,
        files: &[(&str, &[u8])],
        message: &str,
    ) -> Result<String, ForgeError> {
        let git = self.forge.repository(&self.name)?;
        let from = self.forge.state().repo(&self.name)?.default_branch.clone();
        let branches = git.branches().await?;
        let parent = branches.get(branch).or_else(|| branches.get(&from));
        git.commit(branch, parent.map(String::as_str), files, message).await
    }

    /// The same as [`Repo::commit`], and sends the webhooks of a push.
    ///
    /// # Errors
    /// As [`Repo::commit`]. A webhook that fails is no error: see its answer.
    pub async fn push(
        &self,
        branch: &str,
        files: &[(&str, &[u8])],
        message: &str,
    ) -> Result<Pushed, ForgeError> {
        let turn = self.forge.turn(&self.name);
        let _turn = turn.lock().await;
        let before = self.forge.repository(&self.name)?.branches().await?;
        let sha = self.commit_now(branch, files, message).await?;
        let deliveries =
            change::announce(&self.forge, &self.name, &before, self.name.owner()).await?;
        Ok(Pushed { sha, deliveries })
    }

    /// The comments under a pull request, oldest first.
    ///
    /// # Errors
    /// [`ForgeError::NoRepository`].
    pub fn comments(&self, number: u64) -> Result<Vec<Comment>, ForgeError> {
        let state = self.forge.state();
        let comments = state.repo(&self.name)?.comments.values();
        Ok(comments.filter(|comment| comment.number == number).cloned().collect())
    }

    /// The statuses set on a commit, oldest first.
    ///
    /// # Errors
    /// [`ForgeError::NoRepository`].
    pub fn statuses(&self, sha: &str) -> Result<Vec<Status>, ForgeError> {
        let state = self.forge.state();
        let statuses = state.repo(&self.name)?.statuses.iter();
        Ok(statuses.filter(|status| status.sha == sha).cloned().collect())
    }
}

async fn head(git: &GitRepository, repo: &RepoName, branch: &str) -> Result<String, ForgeError> {
    git.resolve(&branch_ref(branch))
        .await?
        .ok_or_else(|| ForgeError::NoBranch { repo: repo.clone(), branch: branch.to_owned() })
}

fn free_path(forge: &Inner, name: &RepoName) -> Result<std::path::PathBuf, ForgeError> {
    match forge.state().repo(name) {
        Ok(_) => Err(ForgeError::RepositoryExists(name.clone())),
        Err(_) => Ok(forge.repository_path(name)),
    }
}
