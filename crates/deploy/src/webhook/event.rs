//! Reading deliveries: of all that a payload holds, what a decision needs. Field
//! names as in <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

use serde::Deserialize;

use crate::git::{is_branch, is_commit};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A branch moved.
    Push(Push),
    /// A pull request changed.
    PullRequest(PullRequest),
    /// Nothing that deployments know of; why it is let be.
    Other(String),
}

/// A branch that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    pub repository: Repository,
    pub branch: String,
    pub commit: String,
}

/// A pull request that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullRequest {
    pub repository: Repository,
    pub number: u64,
    pub change: Change,
    pub head_branch: String,
    pub head_commit: String,
    pub is_draft: bool,
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
    draft: bool,
    #[serde(default)]
    state: String,
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
        "ping" => Ok(Event::Other("a ping: the webhook works".into())),
        other => {
            let name: String = other.chars().take(64).collect();
            Ok(Event::Other(format!("`{name}` events change nothing here")))
        }
    }
}

impl Repository {
    /// The name goes into addresses of the forge's API.
    fn check(&self) -> Result<(), String> {
        let good = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
        };
        let is_name = self.full_name.len() <= 200
            && self.full_name.split('/').count() >= 2
            && self.full_name.split('/').all(good);
        if is_name {
            Ok(())
        } else {
            Err("its repository has no name of the form owner/repo".into())
        }
    }
}

fn push(payload: PushPayload) -> Result<Event, String> {
    payload.repository.check()?;
    let Some(branch) = payload.git_ref.strip_prefix("refs/heads/") else {
        let name: String = payload.git_ref.chars().take(100).collect();
        return Ok(Event::Other(format!("{name} is no branch")));
    };
    if payload.deleted {
        return Ok(Event::Other(format!("the branch {branch} was deleted")));
    }
    if !is_branch(branch) || !is_commit(&payload.after) {
        return Err("its ref or commit is none".into());
    }
    let branch = branch.to_owned();
    Ok(Event::Push(Push { repository: payload.repository, branch, commit: payload.after }))
}

fn pull_request(payload: PullRequestPayload) -> Result<Event, String> {
    payload.repository.check()?;
    let change = match payload.action.as_str() {
        "opened" | "reopened" | "synchronize" | "ready_for_review" => Change::Head,
        "closed" => Change::Closed,
        other => {
            let name: String = other.chars().take(64).collect();
            return Ok(Event::Other(format!("`{name}` changes nothing that is deployed")));
        }
    };
    let PullRequestObject { head, draft, state } = payload.pull_request;
    if change == Change::Head && state == "closed" {
        return Ok(Event::Other(format!("pull request #{} is closed", payload.number)));
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
        head_branch: head.git_ref.chars().take(255).collect(),
        head_commit: head.sha,
        is_draft: draft,
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
            matches!(push("refs/heads/main", true), Event::Other(why) if why.contains("deleted"))
        );
        assert!(
            matches!(push("refs/tags/v1", false), Event::Other(why) if why.contains("no branch"))
        );
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
        assert!(matches!(read("ping", b"{}"), Ok(Event::Other(_))));
        assert!(matches!(read("star", b"not json"), Ok(Event::Other(_))));
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
