//! The events: what their payloads hold. Field by field as in
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

use serde_json::{Value, json};

use super::Delivery;
use super::deliver::send;
use crate::change::Moved;
use crate::forge::Inner;
use crate::git::{Commit, GitRepository, NO_COMMIT, branch_ref};
use crate::{ForgeError, RepoName, shape};

/// What happened to a pull request.
#[derive(Debug, Clone)]
pub(crate) enum PullAction {
    /// It is new.
    Opened,
    /// Its head moved.
    Synchronize { before: String, after: String },
    /// It was closed or merged; its state says which.
    Closed,
    /// It was closed and is open again.
    Reopened,
}

impl PullAction {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Synchronize { .. } => "synchronize",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
        }
    }
}

/// Sends `pull_request`.
pub(crate) async fn pull_request(
    forge: &Inner,
    repo: &RepoName,
    number: u64,
    action: PullAction,
    sender: &str,
) -> Result<Vec<Delivery>, ForgeError> {
    let payload = {
        let state = forge.state();
        let row = state.repo(repo)?;
        let mut payload = json!({
            "action": action.as_str(),
            "number": number,
            "pull_request": shape::pull_request(&forge.url, &state, row, row.pull(number)?),
            "repository": shape::repository(&forge.url, row),
            "sender": shape::user(&forge.url, sender),
        });
        if let PullAction::Synchronize { before, after } = &action {
            payload["before"] = json!(before);
            payload["after"] = json!(after);
        }
        payload
    };
    Ok(send(forge, "pull_request", Some(action.as_str()), &payload).await)
}

/// Sends `push`.
pub(crate) async fn push(
    forge: &Inner,
    repo: &RepoName,
    moved: &Moved,
    pusher: &str,
) -> Result<Vec<Delivery>, ForgeError> {
    let git = forge.repository(repo)?;
    let Moved { branch, before, after } = moved;
    let (created, deleted) = (before == NO_COMMIT, after == NO_COMMIT);
    let mut commits = Vec::new();
    let (mut head, mut forced) = (Value::Null, false);
    if !deleted {
        for commit in git.brought(branch, before, after).await? {
            commits.push(listed(&forge.url, repo, &git, &commit).await?);
        }
        head = listed(&forge.url, repo, &git, &git.show(after).await?).await?;
        forced = !created && !git.is_ancestor(before, after).await?;
    }
    let short = |sha: &str| sha.get(..12).unwrap_or_default().to_owned();
    let url = &forge.url;
    let compare = if created || deleted {
        let sha = if deleted { before } else { after };
        format!("{url}/{repo}/commit/{}", short(sha))
    } else {
        format!("{url}/{repo}/compare/{}...{}", short(before), short(after))
    };
    let repository = shape::pushed_repository(url, forge.state().repo(repo)?);
    let payload = json!({
        "ref": branch_ref(branch),
        "before": before,
        "after": after,
        "created": created,
        "deleted": deleted,
        "forced": forced,
        "base_ref": null,
        "compare": compare,
        "commits": commits,
        "head_commit": head,
        "repository": repository,
        "pusher": { "name": pusher, "email": shape::email(pusher) },
        "sender": shape::user(url, pusher),
    });
    Ok(send(forge, "push", None, &payload).await)
}

/// A commit as a push lists it.
async fn listed(
    url: &str,
    repo: &RepoName,
    git: &GitRepository,
    commit: &Commit,
) -> Result<Value, ForgeError> {
    let touched = git.touched(&commit.sha).await?;
    Ok(json!({
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": true,
        "message": commit.message,
        "timestamp": commit.committer.date,
        "url": format!("{url}/{repo}/commit/{}", commit.sha),
        "author": { "name": commit.author.name, "email": commit.author.email },
        "committer": { "name": commit.committer.name, "email": commit.committer.email },
        "added": touched.added,
        "removed": touched.removed,
        "modified": touched.modified,
    }))
}
