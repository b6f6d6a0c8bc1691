//! What is read of deliveries, and how one that is none is refused.

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
    let gone = json!({ "ref": "refs/heads/main", "after": NO_COMMIT, "repository": repository() });
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
    for (action, state) in [("labeled", "open"), ("edited", "open"), ("synchronize", "closed")] {
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

#[test]
fn a_refusal_names_the_field_and_its_hint_fits() {
    let refused = |event: &str, body: &[u8]| {
        let error = PublicError::from(read(event, body).unwrap_err());
        (error.field.unwrap(), error.hint.unwrap())
    };
    let form = "set the webhook's content type to application/json";
    for body in [&b"payload=%7B%22ref%22%3A"[..], b"", b"{\"ref\":"] {
        assert_eq!(refused("push", body), ("body".into(), form.into()));
    }
    for body in [&b"{}"[..], b"{\"ref\": 1}", b"[]"] {
        let (field, hint) = refused("push", body);
        assert!(field == "body" && !hint.contains("content type"), "{hint}");
    }
    let push = |git_ref: &str, after: &str, name: &str| {
        let mut payload = json!({ "ref": git_ref, "after": after, "repository": repository() });
        payload["repository"]["full_name"] = json!(name);
        refused("push", payload.to_string().as_bytes())
    };
    let sha = "b".repeat(40);
    let mut headless = pull("opened", "open");
    headless["pull_request"]["head"]["sha"] = json!("main");
    for ((field, hint), at_fault) in [
        (push("refs/heads/a..b", &sha, "acme/shop"), "ref"),
        (push("refs/heads/main", "b", "acme/shop"), "after"),
        (push("refs/heads/main", &sha, "shop"), "repository.full_name"),
        (refused("pull_request", headless.to_string().as_bytes()), "pull_request.head.sha"),
    ] {
        assert!(field == at_fault && !hint.contains("content type"), "{field}: {hint}");
    }
}

proptest! {
    #[test]
    fn any_body_ends_in_an_answer(body in proptest::collection::vec(any::<u8>(), 0..200), event in "(push|pull_request|x)") {
        let _ = read(&event, &body);
    }
}
