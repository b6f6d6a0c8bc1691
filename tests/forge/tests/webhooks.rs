//! Webhooks: when they come, what they hold, how they are signed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the tests' own helpers fail as tests do"
)]

mod common;

use aws_lc_rs::digest;
use common::{SECRET, World};
use pando_forge::{Answer, Delivery, ForgeError, Webhook};
use serde_json::Value;

fn payload(delivery: &Delivery) -> Value {
    serde_json::from_str(&delivery.body).unwrap()
}

fn events(deliveries: &[Delivery]) -> Vec<String> {
    let name = |it: &Delivery| match &it.action {
        Some(action) => format!("{} {action}", it.event),
        None => it.event.clone(),
    };
    deliveries.iter().map(name).collect()
}

/// HMAC-SHA256 by RFC 2104 from the bare hash: another way than the stand-in's own.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let sha256 = |bytes: &[u8]| digest::digest(&digest::SHA256, bytes).as_ref().to_vec();
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8, message: &[u8]| {
        let mut bytes = block.map(|byte| byte ^ pad).to_vec();
        bytes.extend_from_slice(message);
        bytes
    };
    let inner = sha256(&padded(0x36, message));
    sha256(&padded(0x5c, &inner)).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_pull_requests_whole_life_is_told() {
    let world = World::start().await;
    let repo = &world.repo;
    let pushed = repo.push("one", &[("one.txt", b"1\n2\n")], "One").await.unwrap();
    assert_eq!(events(&pushed.deliveries), ["push"]);
    let pull = repo.open_pull_request("one", "main", "One").await.unwrap();
    assert_eq!((pull.number, &pull.head_sha), (1, &pushed.sha));
    assert_eq!(events(&pull.deliveries), ["pull_request opened"]);
    let opened = payload(&pull.deliveries[0]);
    assert_eq!(opened["pull_request"]["head"]["repo"]["full_name"], "pando/hello");
    assert_eq!(opened["pull_request"]["additions"], 2);
    assert_eq!(opened["pull_request"]["changed_files"], 1);
    assert_eq!(opened["repository"]["clone_url"], repo.clone_url());

    let again = repo.open_pull_request("one", "main", "Again").await;
    assert!(matches!(again, Err(ForgeError::PullRequestExists { number: 1, .. })));
    let nothing = repo.open_pull_request("main", "main", "Nothing").await;
    assert!(matches!(nothing, Err(ForgeError::NothingToMerge { .. })));

    let moved = repo.push("one", &[("one.txt", b"3\n")], "Two").await.unwrap();
    assert_eq!(events(&moved.deliveries), ["push", "pull_request synchronize"]);
    assert_eq!(repo.pull_request_head(1).await.unwrap(), moved.sha);

    let closed = repo.close_pull_request(1).await.unwrap();
    assert_eq!(payload(&closed[0])["pull_request"]["state"], "closed");
    assert!(matches!(repo.close_pull_request(1).await, Err(ForgeError::WrongState { .. })));
    let pushed = repo.push("one", &[("one.txt", b"4\n")], "While closed").await.unwrap();
    assert_eq!(events(&pushed.deliveries), ["push"]);
    let reopened = repo.reopen_pull_request(1).await.unwrap();
    assert_eq!(payload(&reopened[0])["pull_request"]["head"]["sha"], pushed.sha);

    let merged = repo.merge_pull_request(1).await.unwrap();
    assert_eq!(events(&merged.deliveries), ["push", "pull_request closed"]);
    let closed = payload(&merged.deliveries[1]);
    assert_eq!(closed["pull_request"]["merged"], true);
    assert_eq!(closed["pull_request"]["merge_commit_sha"], merged.sha);
    assert_eq!(repo.head("main").await.unwrap(), merged.sha);
    assert!(matches!(repo.reopen_pull_request(1).await, Err(ForgeError::WrongState { .. })));
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn a_merge_that_conflicts_changes_nothing() {
    let world = World::start().await;
    let repo = &world.repo;
    repo.commit("one", &[("README.md", b"one\n")], "One").await.unwrap();
    repo.open_pull_request("one", "main", "One").await.unwrap();
    repo.push("main", &[("README.md", b"two\n")], "Two").await.unwrap();
    let before = repo.head("main").await.unwrap();
    assert!(matches!(repo.merge_pull_request(1).await, Err(ForgeError::Conflict { .. })));
    assert_eq!(repo.head("main").await.unwrap(), before);
    assert!(repo.close_pull_request(1).await.is_ok(), "it is still open");
    world.finish().await;
}

#[tokio::test]
async fn a_forks_pull_request_names_the_fork_and_follows_it() {
    let world = World::start().await;
    let fork = world.forge.create_fork("pando/hello", "stranger/hello").await.unwrap();
    fork.commit("theirs", &[("theirs.txt", b"x\n")], "Theirs").await.unwrap();
    let opened = world
        .repo
        .open_pull_request_from_fork("stranger/hello", "theirs", "main", "From a stranger")
        .await
        .unwrap();
    let event = payload(&opened.deliveries[0]);
    let head = &event["pull_request"]["head"];
    assert_eq!(
        (&head["repo"]["full_name"], &head["repo"]["fork"]),
        (&"stranger/hello".into(), &true.into())
    );
    assert_eq!(head["label"], "stranger:theirs");
    assert_eq!(event["pull_request"]["author_association"], "NONE");
    assert_eq!(event["repository"]["full_name"], "pando/hello");
    assert_eq!(event["sender"]["login"], "stranger");

    // The parent hears that the pull request moved, and nothing of the fork's own pushes.
    let moved = fork.push("theirs", &[("theirs.txt", b"y\n")], "More").await.unwrap();
    assert_eq!(events(&moved.deliveries), ["pull_request synchronize"]);
    assert_eq!(world.repo.pull_request_head(opened.number).await.unwrap(), moved.sha);
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn each_delivery_is_signed_over_its_raw_bytes() {
    let world = World::start().await;
    let pushed = world.repo.push("one", &[("ü.txt", "ä\n".as_bytes())], "Ünïcode").await.unwrap();
    let delivery = &pushed.deliveries[0];
    let answered = Answer::Answered { status: 202, body: "taken".to_owned() };
    assert_eq!(delivery.answer, answered);

    let again = world.forge.redeliver(delivery.id).await.unwrap();
    assert_eq!((&again.id, &again.body), (&delivery.id, &delivery.body));
    assert!(matches!(
        world.forge.redeliver(uuid::Uuid::nil()).await,
        Err(ForgeError::NoDelivery(_))
    ));

    let received = world.received();
    assert_eq!(received.len(), 2);
    for one in received {
        let header = |name| one.headers[name].to_str().unwrap().to_owned();
        assert_eq!(one.body, delivery.body.as_bytes());
        assert_eq!(
            header("x-hub-signature-256"),
            format!("sha256={}", hmac(SECRET.as_bytes(), &one.body))
        );
        assert_eq!(header("x-github-event"), "push");
        assert_eq!(header("x-github-delivery"), delivery.id.to_string());
        assert_eq!(header("content-type"), "application/json");
        assert!(header("user-agent").starts_with("GitHub-Hookshot/"));
    }
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn a_receiver_that_is_away_fails_the_delivery_and_nothing_else() {
    let world = World::start().await;
    // A port that was free a moment ago and that nobody listens on.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.forge.set_webhook(Webhook { url: format!("http://{gone}/"), secret: SECRET.to_owned() });
    let pushed = world.repo.push("one", &[("a", b"a")], "A").await.unwrap();
    assert!(matches!(pushed.deliveries[0].answer, Answer::Failed { .. }));
    assert_eq!(world.repo.head("one").await.unwrap(), pushed.sha);
    world.finish().await;
}
