//! Pull requests, from their opening to their end.

use pando_types::{Clock, SystemClock};

use super::{Pushed, Repo, head};
use crate::git::{branch_ref, pull_ref};
use crate::hook::{Delivery, PullAction};
use crate::pull::{Pull, PullState, Tip};
use crate::{ForgeError, RepoName, change, hook};

/// A pull request that was just opened.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// Its number in the base repository.
    pub number: u64,
    /// The commit it proposes.
    pub head_sha: String,
    /// Where a person would read it.
    pub html_url: String,
    /// The webhooks sent.
    pub deliveries: Vec<Delivery>,
}

impl Repo {
    /// Opens a pull request from a branch of this repository.
    ///
    /// # Errors
    /// No such branch, one open already, or a git that fails.
    pub async fn open_pull_request(
        &self,
        head_branch: &str,
        base_branch: &str,
        title: &str,
    ) -> Result<PullRequest, ForgeError> {
        self.open_from(self.name.clone(), head_branch, base_branch, title).await
    }

    /// Opens a pull request from a branch of a fork (`owner/name`); its author is the fork's owner.
    ///
    /// # Errors
    /// No such fork or branch, one open already, or a git that fails.
    pub async fn open_pull_request_from_fork(
        &self,
        fork: &str,
        head_branch: &str,
        base_branch: &str,
        title: &str,
    ) -> Result<PullRequest, ForgeError> {
        self.open_from(fork.parse()?, head_branch, base_branch, title).await
    }

    async fn open_from(
        &self,
        from: RepoName,
        head_branch: &str,
        base_branch: &str,
        title: &str,
    ) -> Result<PullRequest, ForgeError> {
        let turn = self.forge.turn(&self.name);
        let _turn = turn.lock().await;
        let (git, source) = (self.forge.repository(&self.name)?, self.forge.repository(&from)?);
        let base = head(&git, &self.name, base_branch).await?;
        let head = head(&source, &from, head_branch).await?;
        let number = self.free_number(&from, head_branch, base_branch)?;
        change::take_head(&git, &source, &head, number).await?;
        let size = git.size(&base, &head).await?;
        if size.commits == 0 {
            return Err(ForgeError::NothingToMerge { repo: from, branch: head_branch.to_owned() });
        }
        let now = SystemClock.now();
        let pull = Pull {
            id: self.forge.state().next_id(),
            number,
            title: title.to_owned(),
            author: from.owner().to_owned(),
            size,
            head: Tip { repo: from, branch: head_branch.to_owned(), sha: head.clone() },
            base: Tip { repo: self.name.clone(), branch: base_branch.to_owned(), sha: base },
            state: PullState::Open,
            created_at: now,
            updated_at: now,
        };
        let sender = pull.author.clone();
        self.forge.state().repo_mut(&self.name)?.pulls.insert(number, pull);
        let deliveries =
            hook::pull_request(&self.forge, &self.name, number, PullAction::Opened, &sender)
                .await?;
        let html_url = format!("{}/{}/pull/{number}", self.forge.url, self.name);
        Ok(PullRequest { number, head_sha: head, html_url, deliveries })
    }

    fn free_number(&self, from: &RepoName, head: &str, base: &str) -> Result<u64, ForgeError> {
        let state = self.forge.state();
        let pulls = &state.repo(&self.name)?.pulls;
        let same = pulls.values().find(|pull| {
            pull.is_open()
                && pull.head.repo == *from
                && pull.head.branch == head
                && pull.base.branch == base
        });
        match same {
            Some(pull) => {
                Err(ForgeError::PullRequestExists { repo: self.name.clone(), number: pull.number })
            }
            None => Ok(pulls.keys().last().map_or(1, |last| last + 1)),
        }
    }

    /// Closes a pull request without merging it.
    ///
    /// # Errors
    /// No such pull request, or it is not open.
    pub async fn close_pull_request(&self, number: u64) -> Result<Vec<Delivery>, ForgeError> {
        self.edit(number, |pull| {
            let at = SystemClock.now();
            pull.is_open().then_some(PullState::Closed { at })
        })?;
        hook::pull_request(&self.forge, &self.name, number, PullAction::Closed, self.name.owner())
            .await
    }

    /// Opens a pull request again that was closed without a merge, at its branch's head of now.
    ///
    /// # Errors
    /// No such pull request, or it is open or merged; its branch is gone.
    pub async fn reopen_pull_request(&self, number: u64) -> Result<Vec<Delivery>, ForgeError> {
        let turn = self.forge.turn(&self.name);
        let _turn = turn.lock().await;
        let tip = self.forge.state().repo(&self.name)?.pull(number)?.head.clone();
        let source = self.forge.repository(&tip.repo)?;
        let now = head(&source, &tip.repo, &tip.branch).await?;
        self.edit(number, |pull| {
            matches!(pull.state, PullState::Closed { .. }).then_some(PullState::Open)
        })?;
        change::move_head(&self.forge, &self.name, number, &source, &now).await?;
        hook::pull_request(&self.forge, &self.name, number, PullAction::Reopened, self.name.owner())
            .await
    }

    /// Merges a pull request into its base; sends the base's push, then the close.
    ///
    /// # Errors
    /// No such pull request, it is not open, or it conflicts.
    pub async fn merge_pull_request(&self, number: u64) -> Result<Pushed, ForgeError> {
        let turn = self.forge.turn(&self.name);
        let _turn = turn.lock().await;
        let pull = self.forge.state().repo(&self.name)?.pull(number)?.clone();
        if !pull.is_open() {
            return Err(pull.wrong_state());
        }
        let git = self.forge.repository(&self.name)?;
        let before = git.branches().await?;
        let base = head(&git, &self.name, &pull.base.branch).await?;
        let message = format!(
            "Merge pull request #{number} from {}/{}",
            pull.head.repo.owner(),
            pull.head.branch
        );
        let sha = git
            .merge(&base, &pull.head.sha, &message)
            .await?
            .ok_or_else(|| ForgeError::Conflict { repo: self.name.clone(), number })?;
        git.set_ref(&branch_ref(&pull.base.branch), &sha).await?;
        // The push holds the head now, and that is what closes the pull request as merged.
        let deliveries =
            change::announce(&self.forge, &self.name, &before, self.name.owner()).await?;
        Ok(Pushed { sha, deliveries })
    }

    /// Moves a pull request to the state that `next` allows from where it is.
    fn edit(
        &self,
        number: u64,
        next: impl FnOnce(&Pull) -> Option<PullState>,
    ) -> Result<(), ForgeError> {
        let mut state = self.forge.state();
        let row = state.repo_mut(&self.name)?;
        row.pull(number)?;
        if let Some(pull) = row.pulls.get_mut(&number) {
            pull.state = next(pull).ok_or_else(|| pull.wrong_state())?;
            pull.updated_at = SystemClock.now();
        }
        Ok(())
    }

    /// The commit that `refs/pull/N/head` is at.
    ///
    /// # Errors
    /// [`ForgeError::NoPullRequest`], or a git that fails.
    pub async fn pull_request_head(&self, number: u64) -> Result<String, ForgeError> {
        let git = self.forge.repository(&self.name)?;
        git.resolve(&pull_ref(number))
            .await?
            .ok_or_else(|| ForgeError::NoPullRequest { repo: self.name.clone(), number })
    }
}
