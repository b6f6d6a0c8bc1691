//! Reading deliveries: of all that a payload holds, what a decision needs. Field
//! names as in <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

use chrono::DateTime;
use pando_types::Timestamp;
use pando_types::limits::MAX_REPOSITORY_NAME_BYTES;
use serde::{Deserialize, Deserializer};

use crate::git::{is_branch, is_commit};

/// What a push says in place of a commit where there is none.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
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

/// The repository that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Repository {
    pub full_name: String,
    pub clone_url: String,
    pub html_url: String,
    /// Its host and port may be others than those of https.
    #[serde(default)]
    pub ssh_url: String,
    /// The forge's number of it.
    #[serde(default)]
    pub id: Option<u64>,
    /// When it was last pushed to; in seconds since 1970 where the event is a push, and else a text
    /// that nobody needs.
    #[serde(default, deserialize_with = "seconds")]
    pub pushed_at: Option<Timestamp>,
}

/// Why a delivery is no event of its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payload is no `{event}` event: {why}")]
pub(crate) struct EventError {
    event: String,
    why: String,
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
    let bad = |why: String| EventError { event: event.chars().take(64).collect(), why };
    match event {
        "push" => {
            push(serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?).map_err(bad)
        }
        "pull_request" => {
            pull_request(serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?)
                .map_err(bad)
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
    payload.repository.check().is_ok().then_some(payload.repository)
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

/// Whether a text can be the name of a repository, `owner/repo`.
pub(crate) fn is_full_name(text: &str) -> bool {
    let good = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    text.len() <= MAX_REPOSITORY_NAME_BYTES
        && text.split('/').count() >= 2
        && text.split('/').all(good)
}

impl Repository {
    /// The name goes into addresses of the forge's API.
    fn check(&self) -> Result<(), String> {
        if is_full_name(&self.full_name) {
            Ok(())
        } else {
            Err("its repository has no name of the form owner/repo".into())
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Timestamp>, D::Error> {
    let value = serde_json::Value::deserialize(value)?;
    let millis = value.as_i64().and_then(|seconds| seconds.checked_mul(1000));
    Ok(millis.map(Timestamp::from_millis))
}

fn push(payload: PushPayload) -> Result<Event, String> {
    payload.repository.check()?;
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
    if !is_branch(branch) || !is_commit(&commit) {
        return Err("its ref or commit is none".into());
    }
    let message = head_commit.filter(|head| head.id == commit).map(|head| head.message);
    let (branch, message) = (branch.to_owned(), message.unwrap_or_default());
    Ok(Event::Push(Push { repository, branch, commit, message }))
}

fn pull_request(payload: PullRequestPayload) -> Result<Event, String> {
    payload.repository.check()?;
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
        return Err("its head is no commit".into());
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
        updated_at: DateTime::parse_from_rfc3339(&updated_at)
            .ok()
            .map(|time| Timestamp::from_millis(time.timestamp_millis())),
        fork,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn repository() -> Value {
        json!({ "full_name": "acme/shop", "clone_url": "https://f/acme/shop.git", "html_url": "https://f/acme/shop", "id": 1 })
    }

    fn pull(action: &str, state: &str) -> Value {
        json!({
            "action": action, "number": 7, "repository": repository(),
            "pull_request": {
                "state": state, "draft": true,
                "head": { "ref": "blue", "sha": "a".repeat(40), "repo": { "full_name": "eve/shop" } },
            },
        })
    }

    fn read_json(event: &str, payload: &Value) -> Result<Event, EventError> {
        read(event, payload.to_string().as_bytes())
    }

    #[test]
    fn pushes_to_branches_are_read() {
        let push = |git_ref: &str, deleted: bool| {
            let payload = json!({ "ref": git_ref, "after": "b".repeat(40), "deleted": deleted, "repository": repository() });
            read_json("push", &payload).unwrap()
        };
        assert!(
            matches!(push("refs/heads/feature/x", false), Event::Push(push) if push.branch == "feature/x")
        );
        assert!(
            matches!(push("refs/heads/refs/heads/x", false), Event::Push(push) if push.branch == "refs/heads/x")
        );
        for (git_ref, deleted, why) in [
            ("refs/heads/main", true, "the branch main was deleted"),
            ("refs/tags/main", false, "refs/tags/main is no branch"),
            ("main", false, "main is no branch"),
            ("refs/pull/7/head", false, "is no branch"),
            ("refs/heads/gh-readonly-queue/main/pr-7-abc", false, "merge queue"),
        ] {
            let Event::Other(other) = push(git_ref, deleted) else { panic!("{git_ref}") };
            assert!(other.why.contains(why), "{other:?}");
            assert_eq!(other.repository.unwrap().full_name, "acme/shop");
        }
        let gone =
            json!({ "ref": "refs/heads/main", "after": NO_COMMIT, "repository": repository() });
        assert!(matches!(read_json("push", &gone), Ok(Event::Other(_))));
    }

    #[test]
    fn the_message_of_a_push_is_that_of_its_commit() {
        let push = |head: Value| {
            let payload = json!({ "ref": "refs/heads/x", "after": "b".repeat(40), "head_commit": head, "repository": repository() });
            let Ok(Event::Push(push)) = read_json("push", &payload) else { panic!("{payload}") };
            push.message
        };
        assert_eq!(push(json!({ "id": "b".repeat(40), "message": "ä\nb" })), "ä\nb");
        assert_eq!(push(json!({ "id": "c".repeat(40), "message": "of another" })), "");
        assert_eq!(push(Value::Null), "");
    }

    #[test]
    fn pull_requests_are_read() {
        for action in ["opened", "reopened", "synchronize", "ready_for_review"] {
            let event = read_json("pull_request", &pull(action, "open")).unwrap();
            let Event::PullRequest(pull) = event else { panic!("{event:?}") };
            assert_eq!((pull.change, pull.number, pull.is_draft), (Change::Head, 7, true));
            assert_eq!(pull.fork.as_deref(), Some("eve/shop"));
        }
        let closed = read_json("pull_request", &pull("closed", "closed")).unwrap();
        assert!(matches!(closed, Event::PullRequest(pull) if pull.change == Change::Closed));
        for (action, state) in [("labeled", "open"), ("edited", "open"), ("synchronize", "closed")]
        {
            assert!(matches!(
                read_json("pull_request", &pull(action, state)).unwrap(),
                Event::Other(_)
            ));
        }
        let mut gone = pull("closed", "closed");
        gone["pull_request"]["head"]["repo"] = Value::Null;
        assert!(matches!(read_json("pull_request", &gone).unwrap(), Event::PullRequest(_)));
    }

    #[test]
    fn unknown_events_are_let_be_and_broken_ones_refused() {
        for (event, body) in [("ping", &b"{}"[..]), ("star", b"not json")] {
            let Ok(Event::Other(other)) = read(event, body) else { panic!("{event}") };
            assert_eq!(other.repository, None);
        }
        let ping = read_json("ping", &json!({ "zen": "x", "repository": repository() })).unwrap();
        assert_eq!(ping.repository().unwrap().full_name, "acme/shop");
        assert!(read("push", b"{}").is_err());
        let mut sly = pull("opened", "open");
        sly["repository"]["full_name"] = json!("acme/../other?x");
        assert!(read_json("pull_request", &sly).is_err());
        assert!(read("pull_request", b"not json").is_err());
    }

    proptest! {
        #[test]
        fn any_body_ends_in_an_answer(body in proptest::collection::vec(any::<u8>(), 0..200), event in "(push|pull_request|x)") {
            let _ = read(&event, &body);
        }
    }
}
