//! What follows from branches that moved: push events, and what becomes of pull requests.
//!
//! The caller holds the repository's turn, so that `before` is what the last
//! change left.

use std::collections::{BTreeMap, BTreeSet};

use pando_types::{Clock, SystemClock};

use crate::forge::Inner;
use crate::git::{GitRepository, NO_COMMIT, pull_ref};
use crate::hook::{Delivery, PullAction};
use crate::pull::PullState;
use crate::{ForgeError, RepoName, hook};

/// A branch that is not where it was.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) branch: String,
    /// [`NO_COMMIT`] where it is new.
    pub(crate) before: String,
    /// [`NO_COMMIT`] where it is gone.
    pub(crate) after: String,
}

/// Compares the branches with what they were, and sends what GitHub would:
/// a push each, then what it means for open pull requests.
pub(crate) async fn announce(
    forge: &Inner,
    repo: &RepoName,
    before: &BTreeMap<String, String>,
    pusher: &str,
) -> Result<Vec<Delivery>, ForgeError> {
    let git = forge.repository(repo)?;
    let moved = compare(before, &git.branches().await?);
    let is_fork = {
        let mut state = forge.state();
        let row = state.repo_mut(repo)?;
        if !moved.is_empty() {
            row.pushed_at = SystemClock.now();
        }
        row.parent.is_some()
    };
    let mut deliveries = Vec::new();
    for moved in &moved {
        // The webhook belongs to the parent: it hears of a fork's pull requests, not of its pushes.
        if !is_fork {
            deliveries.extend(hook::push(forge, repo, moved, pusher).await?);
        }
        for (base, number) in pulls_from(forge, repo, &moved.branch) {
            let action = follow(forge, &git, &base, number, moved).await?;
            deliveries.extend(hook::pull_request(forge, &base, number, action, pusher).await?);
        }
        for number in merged_by(forge, &git, repo, moved).await? {
            let sha = moved.after.clone();
            let state = PullState::Merged { at: SystemClock.now(), sha, by: pusher.to_owned() };
            set_state(forge, repo, number, state)?;
            let closed = PullAction::Closed;
            deliveries.extend(hook::pull_request(forge, repo, number, closed, pusher).await?);
        }
    }
    Ok(deliveries)
}

fn compare(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Moved> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let at = |branches: &BTreeMap<String, String>, name: &str| {
        branches.get(name).cloned().unwrap_or_else(|| NO_COMMIT.to_owned())
    };
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Moved {
            branch: name.clone(),
            before: at(before, name),
            after: at(after, name),
        })
        .collect()
}

/// The open pull requests whose head is this branch.
fn pulls_from(forge: &Inner, repo: &RepoName, branch: &str) -> Vec<(RepoName, u64)> {
    let state = forge.state();
    let pulls = state.repos.values().flat_map(|row| row.pulls.values());
    pulls
        .filter(|pull| pull.is_open() && pull.head.repo == *repo && pull.head.branch == branch)
        .map(|pull| (pull.base.repo.clone(), pull.number))
        .collect()
}

/// Moves a pull request along with its branch, or closes it with it.
async fn follow(
    forge: &Inner,
    source: &GitRepository,
    base: &RepoName,
    number: u64,
    moved: &Moved,
) -> Result<PullAction, ForgeError> {
    if moved.after == NO_COMMIT {
        set_state(forge, base, number, PullState::Closed { at: SystemClock.now() })?;
        return Ok(PullAction::Closed);
    }
    move_head(forge, base, number, source, &moved.after).await?;
    Ok(PullAction::Synchronize { before: moved.before.clone(), after: moved.after.clone() })
}

/// Brings a head into the base repository, under the pull request's own ref.
pub(crate) async fn take_head(
    base: &GitRepository,
    source: &GitRepository,
    sha: &str,
    number: u64,
) -> Result<(), ForgeError> {
    if source.path() != base.path() {
        base.fetch(source, sha).await?;
    }
    Ok(base.set_ref(&pull_ref(number), sha).await?)
}

/// Makes `sha` a pull request's head.
pub(crate) async fn move_head(
    forge: &Inner,
    base: &RepoName,
    number: u64,
    source: &GitRepository,
    sha: &str,
) -> Result<(), ForgeError> {
    let git = forge.repository(base)?;
    take_head(&git, source, sha, number).await?;
    let branch = forge.state().repo(base)?.pull(number)?.base.branch.clone();
    let base_sha = git.resolve(&crate::git::branch_ref(&branch)).await?;
    let mut size = None;
    if let Some(base_sha) = &base_sha {
        size = Some(git.size(base_sha, sha).await?);
    }
    if let Some(pull) = forge.state().repo_mut(base)?.pulls.get_mut(&number) {
        sha.clone_into(&mut pull.head.sha);
        pull.base.sha = base_sha.unwrap_or_else(|| pull.base.sha.clone());
        pull.size = size.unwrap_or(pull.size);
        pull.updated_at = SystemClock.now();
    }
    Ok(())
}

/// The open pull requests into this branch that it now holds.
async fn merged_by(
    forge: &Inner,
    git: &GitRepository,
    repo: &RepoName,
    moved: &Moved,
) -> Result<Vec<u64>, ForgeError> {
    let into: Vec<(u64, String)> = {
        let state = forge.state();
        let pulls = state.repo(repo)?.pulls.values();
        pulls
            .filter(|pull| pull.is_open() && pull.base.branch == moved.branch)
            .map(|pull| (pull.number, pull.head.sha.clone()))
            .collect()
    };
    let mut merged = Vec::new();
    for (number, head) in into {
        if moved.after != NO_COMMIT && git.is_ancestor(&head, &moved.after).await? {
            merged.push(number);
        }
    }
    Ok(merged)
}

fn set_state(
    forge: &Inner,
    repo: &RepoName,
    number: u64,
    next: PullState,
) -> Result<(), ForgeError> {
    if let Some(pull) = forge.state().repo_mut(repo)?.pulls.get_mut(&number) {
        pull.state = next;
        pull.updated_at = SystemClock.now();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_moved_and_gone_branches_are_told_apart() {
        let branches = |list: &[(&str, &str)]| {
            list.iter().map(|(name, sha)| ((*name).to_owned(), (*sha).to_owned())).collect()
        };
        let moved = compare(
            &branches(&[("gone", "a"), ("main", "b"), ("still", "c")]),
            &branches(&[("main", "d"), ("new", "e"), ("still", "c")]),
        );
        let seen: Vec<_> = moved
            .iter()
            .map(|m| (m.branch.as_str(), m.before.as_str(), m.after.as_str()))
            .collect();
        assert_eq!(seen, [("gone", "a", NO_COMMIT), ("main", "b", "d"), ("new", NO_COMMIT, "e")]);
    }
}
