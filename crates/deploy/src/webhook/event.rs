//! Reading deliveries: of all that a payload holds, what a decision needs. Field
//! names as in <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

use pando_types::{PublicError, Timestamp};
use serde::Deserialize;
use serde_json::error::Category;

use crate::forge::{Repository, moment};
use crate::git::{is_branch, is_commit};

/// What a push says in place of a commit where there is none.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
const NO_COMMIT_ID: &str = "is no commit of 40 hex digits";
/// Branches that a forge makes to try what it is about to merge.
const MERGE_QUEUE: &str = "gh-readonly-queue/";

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A branch moved.
    Push(Push),
    /// A pull request changed.
    PullRequest(PullRequest),
    /// Nothing that deployments know of.
    Other(Other),
}

/// Something that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Other {
    /// Where it is about one.
    pub repository: Option<Repository>,
    /// Why it is let be.
    pub why: String,
}

/// A branch that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    pub repository: Repository,
    pub branch: String,
    pub commit: String,
    /// What the commit says of itself.
    pub message: String,
}

/// A pull request that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullRequest {
    pub repository: Repository,
    pub number: u64,
    pub change: Change,
    pub title: String,
    pub head_branch: String,
    pub head_commit: String,
    pub is_draft: bool,
    /// When it last changed in any way.
    pub updated_at: Option<Timestamp>,
    /// The fork that the head is in, where it is another repository's.
    pub fork: Option<String>,
}

/// What a change of a pull request means for its preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is open and has this head.
    Head,
    /// It is closed or merged.
    Closed,
}

/// Why a delivery is no event of its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payload is no `{event}` event: {why}")]
pub(crate) struct EventError {
    event: String,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Why {
    /// A form, most likely: the other content type that forges offer.
    #[error("{0}")]
    NotJson(String),
    /// It has not the fields of such an event.
    #[error("{0}")]
    Shape(String),
    /// A field that holds what it cannot.
    #[error("{field} {said}")]
    Field { field: &'static str, said: &'static str },
}

impl From<serde_json::Error> for Why {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::Shape(error.to_string()),
            Category::Io | Category::Syntax | Category::Eof => Self::NotJson(error.to_string()),
        }
    }
}

impl From<EventError> for PublicError {
    fn from(error: EventError) -> Self {
        let as_github = "send what GitHub sends for such an event";
        let (field, hint) = match error.why {
            Why::NotJson(_) => ("body", "set the webhook's content type to application/json"),
            Why::Shape(_) => ("body", as_github),
            Why::Field { field, .. } => (field, as_github),
        };
        Self::invalid(field, error.to_string()).hint(hint)
    }
}

#[derive(Deserialize)]
struct PushPayload {
    #[serde(rename = "ref")]
    git_ref: String,
    after: String,
    #[serde(default)]
    deleted: bool,
    /// Null where the branch is gone.
    #[serde(default)]
    head_commit: Option<HeadCommit>,
    repository: Repository,
}

#[derive(Deserialize)]
struct HeadCommit {
    id: String,
    #[serde(default)]
    message: String,
}

/// What other events may be about.
#[derive(Deserialize)]
struct AnyPayload {
    repository: Repository,
}

#[derive(Deserialize)]
struct PullRequestPayload {
    action: String,
    number: u64,
    pull_request: PullRequestObject,
    repository: Repository,
}

#[derive(Deserialize)]
struct PullRequestObject {
    head: Head,
    #[serde(default)]
    title: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    state: String,
    #[serde(default)]
    updated_at: String,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "ref")]
    git_ref: String,
    sha: String,
    /// Null where the fork is gone.
    #[serde(default)]
    repo: Option<HeadRepository>,
}

#[derive(Deserialize)]
struct HeadRepository {
    full_name: String,
}

/// Reads a delivery of this event.
pub(crate) fn read(event: &str, body: &[u8]) -> Result<Event, EventError> {
    let bad = |why: Why| EventError { event: event.chars().take(64).collect(), why };
    match event {
        "push" => serde_json::from_slice(body).map_err(Why::from).and_then(push).map_err(bad),
        "pull_request" => {
            serde_json::from_slice(body).map_err(Why::from).and_then(pull_request).map_err(bad)
        }
        "ping" => Ok(Event::other(about(body), "a ping: the webhook works")),
        other => {
            let name: String = other.chars().take(64).collect();
            Ok(Event::other(about(body), format!("`{name}` events change nothing here")))
        }
    }
}

/// The repository of an event of which nothing else is read; it may be of none.
fn about(body: &[u8]) -> Option<Repository> {
    let payload = serde_json::from_slice::<AnyPayload>(body).ok()?;
    payload.repository.has_full_name().then_some(payload.repository)
}

impl Event {
    /// What it is about.
    pub(super) fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Push(push) => Some(&push.repository),
            Self::PullRequest(pull) => Some(&pull.repository),
            Self::Other(other) => other.repository.as_ref(),
        }
    }

    fn other(repository: impl Into<Option<Repository>>, why: impl Into<String>) -> Self {
        Self::Other(Other { repository: repository.into(), why: why.into() })
    }
}

/// The name goes into addresses of the forge's API.
fn check(repository: &Repository) -> Result<(), Why> {
    if repository.has_full_name() {
        Ok(())
    } else {
        let said = "is no name of the form owner/repo";
        Err(Why::Field { field: "repository.full_name", said })
    }
}

fn push(payload: PushPayload) -> Result<Event, Why> {
    check(&payload.repository)?;
    let PushPayload { git_ref, after: commit, deleted, head_commit, repository } = payload;
    let shown = |text: &str| text.chars().take(100).collect::<String>();
    let Some(branch) = git_ref.strip_prefix("refs/heads/") else {
        return Ok(Event::other(repository, format!("{} is no branch", shown(&git_ref))));
    };
    if deleted || commit == NO_COMMIT {
        return Ok(Event::other(repository, format!("the branch {} was deleted", shown(branch))));
    }
    if branch.starts_with(MERGE_QUEUE) {
        let why = format!("{} is a branch of the merge queue's own", shown(branch));
        return Ok(Event::other(repository, why));
    }
    if !is_branch(branch) {
        return Err(Why::Field { field: "ref", said: "is no name that git takes for a branch" });
    }
    if !is_commit(&commit) {
        return Err(Why::Field { field: "after", said: NO_COMMIT_ID });
    }
    let message = head_commit.filter(|head| head.id == commit).map(|head| head.message);
    let (branch, message) = (branch.to_owned(), message.unwrap_or_default());
    Ok(Event::Push(Push { repository, branch, commit, message }))
}

fn pull_request(payload: PullRequestPayload) -> Result<Event, Why> {
    check(&payload.repository)?;
    let change = match payload.action.as_str() {
        "opened" | "reopened" | "synchronize" | "ready_for_review" => Change::Head,
        "closed" => Change::Closed,
        other => {
            let name: String = other.chars().take(64).collect();
            let why = format!("`{name}` changes nothing that is deployed");
            return Ok(Event::other(payload.repository, why));
        }
    };
    let PullRequestObject { head, title, draft, state, updated_at } = payload.pull_request;
    if change == Change::Head && state == "closed" {
        let why = format!("pull request #{} is closed", payload.number);
        return Ok(Event::other(payload.repository, why));
    }
    if !is_commit(&head.sha) {
        return Err(Why::Field { field: "pull_request.head.sha", said: NO_COMMIT_ID });
    }
    let fork =
        head.repo.map(|repo| repo.full_name).filter(|name| *name != payload.repository.full_name);
    Ok(Event::PullRequest(PullRequest {
        repository: payload.repository,
        number: payload.number,
        change,
        title,
        head_branch: head.git_ref.chars().take(255).collect(),
        head_commit: head.sha,
        is_draft: draft,
        updated_at: moment(&updated_at),
        fork,
    }))
}

#[cfg(test)]
mod tests;
