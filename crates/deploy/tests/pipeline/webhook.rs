use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use pando_deploy::WebhookRequest;
use pando_types::app::{App, AppDelivery, CreateDeployment, DeploymentStatus, UpdateApp};
use pando_types::page::PageRequest;
use pando_types::{AppId, Code, Timestamp};
use serde_json::json;

use crate::world::World;

impl World {
    /// All deliveries of an app, read in pages of this length.
    async fn deliveries(&self, app: &App, limit: u32) -> Vec<AppDelivery> {
        let (mut all, mut page) = (Vec::new(), PageRequest { after: None, limit });
        loop {
            let list = self.deploy.delivery_list(self.org, app.id, page).await.unwrap();
            all.extend(list.items);
            let Some(cursor) = list.next_cursor else { return all };
            page.after = Some(cursor.parse().unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_signed_is_taken() {
    let world = World::new().await;
    let body = br#"{"zen":"x"}"#;
    let good = pando_forge::sign(crate::world::SECRET, body);
    let other = pando_forge::sign("other", body);
    let request = |signature, body| WebhookRequest {
        event: Some("ping"),
        delivery: Some("1"),
        signature,
        body,
    };
    for (signature, body) in [
        (None, &body[..]),
        (Some("sha256=00"), body),
        (Some(good.as_str()), &b"{}"[..]),
        (Some(other.as_str()), body),
    ] {
        let error = world.deploy.webhook(request(signature, body)).await.unwrap_err();
        assert_eq!(error.code, Code::Unauthorized);
    }
    let delivery = world.deploy.webhook(request(Some(&good), body)).await.unwrap();
    assert_eq!((delivery.ok, delivery.decision.as_str()), (true, "ignore"));
    let nameless = WebhookRequest { delivery: None, ..request(Some(&good), body) };
    let error = world.deploy.webhook(nameless).await.unwrap_err();
    assert_eq!(error.field.as_deref(), Some("X-GitHub-Delivery"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_has_a_decision_and_a_reason() {
    let world = World::new().await;
    let app = world.app(|app| app.previews = Some(false)).await;
    world.ended(app.id).await;
    let head = world.repo.head("main").await.unwrap();
    let other = json!({ "full_name": "else/where", "clone_url": "https://forge.example/else/where.git", "html_url": "x" });
    let mut elsewhere = world.push("main", &head);
    elsewhere["repository"] = other;
    let mut deleted = world.push("main", &head);
    deleted["deleted"] = json!(true);
    let mut tag = world.push("main", &head);
    tag["ref"] = json!("refs/tags/main");
    let queue = world.push("gh-readonly-queue/main/pr-1-abc", &head);
    let all = [
        ("push", world.push("main", &head), "is live on shop already"),
        ("push", world.push("other", &head), "deploys main, not other"),
        ("push", elsewhere, "no app is made from else/where"),
        ("push", deleted, "was deleted"),
        ("push", tag, "refs/tags/main is no branch"),
        ("push", queue, "merge queue"),
        ("ping", json!({ "repository": world.repository() }), "the webhook works"),
        ("pull_request", world.pull("opened", 1, &head), "switched off"),
        ("pull_request", world.pull("labeled", 1, &head), "changes nothing"),
        ("pull_request", world.pull("closed", 1, &head), "shop has no preview"),
        ("star", json!({}), "change nothing here"),
    ];
    for (event, payload, why) in all.clone() {
        let delivery = world.webhook(event, &payload).await;
        assert_eq!(delivery.decision, "ignore", "{delivery:?}");
        assert!(delivery.reason.contains(why), "{delivery:?}");
    }
    assert_eq!(world.machines.made(), 1);

    // Its owner reads the same, newest first, but for what is about elsewhere.
    let read = world.deliveries(&app, 1000).await;
    let mut told =
        all.iter().filter(|(event, _, why)| *event != "star" && !why.contains("else/where"));
    for delivery in read.iter().rev() {
        let (event, _, why) = told.next().unwrap();
        assert_eq!((delivery.event.as_str(), delivery.decision.as_str()), (*event, "ignore"));
        assert!(delivery.reason.contains(why), "{delivery:?}");
        assert_eq!(delivery.repository.as_deref(), Some("acme/shop"));
    }
    assert!(told.next().is_none());
    assert_eq!(world.deliveries(&app, 2).await, read, "page by page");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_comes_again_does_nothing_again() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let pushed = world.repo.push("main", &[("index.html", b"two")], "two").await.unwrap();
    let payload = world.push("main", &pushed.sha);
    let first = world.deliver("push", "one id", &payload).await.unwrap();
    assert_eq!(first.deployments.len(), 1);
    assert_eq!(world.deliver("push", "one id", &payload).await.unwrap(), first);
    let deployment = world.ended_of(app.id, first.deployments[0]).await;
    assert_eq!(deployment.status, DeploymentStatus::Live);
    assert_eq!(world.deployments(app.id).await.len(), 2);
    let broken = world.deliver("push", "another", &json!({ "ref": 1 })).await.unwrap_err();
    assert_eq!(broken.code, Code::InvalidRequest);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_and_comes_later_is_not_gone_back_to() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    // Not long ago: the app was made with what was there then.
    let lately = world.store.now().as_secs() - 30;
    let mut pushes = Vec::new();
    for number in 1..=3_i64 {
        let text = number.to_string();
        let files = [("index.html", text.as_bytes())];
        let pushed = world.repo.push("main", &files, &text).await.unwrap();
        let mut push = world.push("main", &pushed.sha);
        push["repository"]["pushed_at"] = json!(lately + number);
        pushes.push(push);
    }
    let [first, second, third] = [&pushes[0], &pushes[1], &pushes[2]];
    for (push, decision, shown) in [
        (second, "deploy", "2"),
        (first, "ignore", "2"),
        (third, "deploy", "3"),
        (second, "ignore", "3"),
    ] {
        let delivery = world.webhook("push", push).await;
        assert_eq!(delivery.decision, decision, "{delivery:?}");
        world.ended(app.id).await;
        assert_eq!(world.shows(&app).await, shown);
    }

    // The same for all that is told of a pull request: its head, and that it is closed.
    let [sha, newer] = [second, third].map(|push| push["after"].as_str().unwrap());
    // Not long ago: that is forgotten. Nor to come: that would count as now.
    let yesterday = world.store.now().as_millis() - 86_400_000;
    let told = async |action: &str, number: u64, sha: &str, minute: i64| {
        let at = Timestamp::from_millis(yesterday + minute * 60_000);
        let mut pull = world.pull(action, number, sha);
        pull["pull_request"]["updated_at"] = json!(at.to_rfc3339());
        world.webhook("pull_request", &pull).await
    };
    let late = async |action: &str, number: u64, sha: &str, minute: i64| {
        let delivery = told(action, number, sha, minute).await;
        assert_eq!(delivery.decision, "ignore", "{delivery:?}");
        let why = format!("#{number} is older than one that came before");
        assert!(delivery.reason.contains(&why), "{delivery:?}");
    };
    assert_eq!(told("synchronize", 1, newer, 1).await.decision, "deploy");
    late("synchronize", 1, sha, 0).await;
    late("closed", 1, sha, 0).await;
    assert_eq!(told("closed", 1, newer, 1).await.decision, "remove");

    // What comes after it was closed does not make the preview again, nor what came before.
    assert_eq!(told("opened", 8, sha, 180).await.decision, "deploy");
    assert_eq!(told("closed", 8, newer, 190).await.decision, "remove");
    late("synchronize", 8, newer, 185).await;
    assert_eq!(told("closed", 9, sha, 190).await.decision, "ignore");
    late("opened", 9, sha, 180).await;
    world.until("none is left", async || world.previews().await.is_empty()).await;
    // One that is opened again has its preview.
    assert_eq!(told("reopened", 8, newer, 200).await.decision, "deploy");
    assert_eq!(world.previews().await.len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_head_that_was_asked_for_is_not_gone_back_to() {
    let world = World::new().await;
    let commit = async |text: &str| {
        let files = [("index.html", text.as_bytes())];
        world.repo.push("main", &files, text).await.unwrap().sha
    };
    let told = async |sha: &str, at: Timestamp| {
        let mut push = world.push("main", sha);
        push["repository"]["pushed_at"] = json!(at.as_secs());
        world.webhook("push", &push).await
    };
    let ago = |at: Timestamp, secs: i64| Timestamp::from_millis(at.as_millis() - secs * 1000);
    let late = async |sha: &str, at: Timestamp| {
        let delivery = told(sha, at).await;
        assert_eq!(delivery.decision, "ignore", "{delivery:?}");
        assert!(delivery.reason.contains("is older than what shop was told of"), "{delivery:?}");
    };

    // It is made at the second.
    let (first, _second) = (commit("1").await, commit("2").await);
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    late(&first, ago(world.store.now(), 600)).await;
    assert_eq!(world.shows(&app).await, "2");
    let third = commit("3").await;
    let pushed = world.store.now();
    let delivery = told(&third, pushed).await;
    assert_eq!(delivery.decision, "deploy", "{delivery:?}");
    world.ended(app.id).await;
    assert_eq!(world.shows(&app).await, "3");

    // By hand at once: what the push said stays. Later: what was pushed until then is passed.
    let by_hand = async |git_ref: Option<&str>| {
        let request = CreateDeployment { git_ref: git_ref.map(str::to_owned), fresh: None };
        let deployment = world.new_deployment(app.id, request).await.unwrap();
        world.ended_of(app.id, deployment.id).await;
    };
    by_hand(None).await;
    late(&first, ago(pushed, 30)).await;
    for (text, git_ref) in [("4", None), ("5", Some("main"))] {
        let before = world.store.now();
        let head = world.repo.head("main").await.unwrap();
        commit(text).await;
        world.pass(Duration::from_secs(100));
        by_hand(git_ref).await;
        late(&head, before).await;
        assert_eq!(world.shows(&app).await, text);
    }
    // Another branch is not what the app follows.
    world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let before = world.store.now();
    world.pass(Duration::from_secs(100));
    by_hand(Some("blue")).await;
    let head = world.repo.head("main").await.unwrap();
    let delivery = told(&head, before).await;
    assert_eq!(delivery.decision, "deploy", "{delivery:?}");
    world.ended(app.id).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_whose_clock_ran_ahead_holds_nothing_back() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let year = Duration::from_secs(365 * 86_400);
    for (text, ahead) in [("ahead", year), ("right", Duration::ZERO)] {
        let files = [("index.html", text.as_bytes())];
        let pushed = world.repo.push("main", &files, text).await.unwrap();
        let mut push = world.push("main", &pushed.sha);
        world.pass(Duration::from_secs(10));
        push["repository"]["pushed_at"] = json!(world.store.now().plus(ahead).as_secs());
        let delivery = world.webhook("push", &push).await;
        assert_eq!(delivery.decision, "deploy", "{delivery:?}");
        world.ended(app.id).await;
        assert_eq!(world.shows(&app).await, text);
    }
    let head = world.repo.head("main").await.unwrap();
    for (action, ahead, decision) in
        [("opened", year, "deploy"), ("closed", Duration::ZERO, "remove")]
    {
        let mut pull = world.pull(action, 7, &head);
        world.pass(Duration::from_secs(10));
        let at = world.store.now().plus(ahead);
        pull["pull_request"]["updated_at"] = json!(at.to_rfc3339());
        let delivery = world.webhook("pull_request", &pull).await;
        assert_eq!(delivery.decision, decision, "{delivery:?}");
    }
    world.until("it is gone", async || world.previews().await.is_empty()).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_repository_may_have_many_apps() {
    let world = World::new().await;
    let one = world.app(|_| {}).await;
    let two = world.app(|app| app.name = "docs".into()).await;
    world.ended(one.id).await;
    world.ended(two.id).await;
    let pushed = world.repo.push("main", &[("index.html", b"two")], "two").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    assert_eq!(delivery.deployments.len(), 2, "{delivery:?}");
    for app in [&one, &two] {
        assert_eq!(world.ended(app.id).await.status, DeploymentStatus::Live);
        assert_eq!(world.shows(app).await, "two");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_has_the_deliveries_of_its_app() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let head = world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    let opened = world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    let preview = world.previews().await.remove(0);
    world.ended(preview.id).await;
    let read = world.deliveries(&app, 10).await;
    assert_eq!(read, world.deliveries(&preview, 10).await);
    assert_eq!(read[0].deployments, opened.deployments);
    world.webhook("pull_request", &world.pull("closed", number, &head)).await;
    let read = world.deliveries(&app, 10).await;
    assert_eq!(read[0].decision, "remove");
    assert!(read[0].reason.contains("was closed, so pr-1-shop goes"), "{read:?}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_not_to_be_deployed_is_not() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    let created = world.ended(app.id).await;
    let pushed = world.repo.push("main", &[("index.html", b"two")], "two").await.unwrap().sha;
    let mut push = world.push("main", &pushed);
    push["head_commit"] = json!({ "id": pushed, "message": "Typo\n\n[Skip CI]" });
    let mut pull = world.pull("opened", 1, &pushed);
    pull["pull_request"]["title"] = json!("[skip pando] Later");
    for (event, payload, word) in
        [("push", &push, "[skip ci]"), ("pull_request", &pull, "[skip pando]")]
    {
        let delivery = world.webhook(event, payload).await;
        assert_eq!(delivery.decision, "ignore", "{delivery:?}");
        assert!(delivery.reason.contains(word), "{delivery:?}");
    }
    assert_eq!(world.deployments(app.id).await[0].id, created.id);
    assert!(world.previews().await.is_empty());
    // Asked of an earlier commit, it is not asked of this one.
    push["head_commit"]["message"] = json!("Not a typo");
    let delivery = world.webhook("push", &push).await;
    assert_eq!(delivery.decision, "deploy", "{delivery:?}");
    world.ended(app.id).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_failed_is_done_when_it_comes_again() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let head = world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    let pull = world.pull("opened", number, &head);

    // What previews are given does not open: the server's own trouble.
    let good = world.store.app_get(app.id).await.unwrap().unwrap();
    let put = async |sealed: Vec<u8>| {
        let row = pando_store::AppRow { preview_env_sealed: sealed, ..good.clone() };
        let mut tx = world.store.begin().await.unwrap();
        assert_eq!(tx.app_change(&row).await.unwrap(), pando_store::Swap::Done);
        tx.commit().await.unwrap();
    };
    put(vec![1; 40]).await;
    for _ in 0..2 {
        let failed = world.deliver("pull_request", "one id", &pull).await.unwrap_err();
        assert_eq!(failed.code, Code::Internal);
    }
    assert!(world.previews().await.is_empty() && world.deliveries(&app, 10).await.is_empty());

    put(good.preview_env_sealed.clone()).await;
    let done = world.deliver("pull_request", "one id", &pull).await.unwrap();
    assert_eq!((done.decision.as_str(), done.deployments.len()), ("deploy", 1), "{done:?}");
    assert_eq!(world.deliver("pull_request", "one id", &pull).await.unwrap(), done);
    assert_eq!(world.deliveries(&app, 10).await.len(), 1);
    world.ended(world.previews().await[0].id).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_comes_many_times_at_once_is_done_once() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let pushed = world.repo.push("main", &[("index.html", b"two")], "two").await.unwrap().sha;
    let payload = world.push("main", &pushed);
    let all = join_all((0..20).map(|_| world.deliver("push", "one id", &payload))).await;
    let made: BTreeSet<_> = all.into_iter().flat_map(|done| done.unwrap().deployments).collect();
    assert_eq!(made.len(), 1);
    world.ended(app.id).await;
    assert_eq!(world.deployments(app.id).await.len(), 2);
    assert_eq!(world.deliveries(&app, 10).await.len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_cannot_have_a_preview_says_why_and_others_have_theirs() {
    let world = World::new().await;
    // The host that a preview of the first would have.
    let app = world.app(|_| {}).await;
    let label = app.url.strip_prefix("http://").unwrap().split('.').next().unwrap();
    let row = world.store.app_get(app.id).await.unwrap().unwrap();
    let squatter = pando_store::AppRow {
        id: AppId::new(),
        name: "squatter".into(),
        label: format!("pr-1-{label}"),
        repo_key: "elsewhere".into(),
        ..row
    };
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.app_insert(&squatter).await.unwrap(), pando_store::Insert::Done);
    tx.commit().await.unwrap();
    let docs = world.app(|app| app.name = "docs".into()).await;
    let head = world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    assert_eq!(number, 1);
    let opened = world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    assert_eq!((opened.decision.as_str(), opened.deployments.len()), ("deploy", 1), "{opened:?}");
    let read = world.deliveries(&app, 10).await;
    assert_eq!(read[0].decision, "ignore");
    assert!(read[0].reason.contains("belongs to another app"), "{read:?}");
    assert_eq!(world.deliveries(&docs, 10).await[0].decision, "deploy");
    world.ended(world.previews().await[0].id).await;
    // Off is off, whatever came before.
    let change = serde_json::from_str::<UpdateApp>(r#"{"previews": false}"#).unwrap();
    world.deploy.app_update(world.org, docs.id, change).await.unwrap();
    let again = world.webhook("pull_request", &world.pull("synchronize", number, &head)).await;
    assert_eq!(again.decision, "ignore", "{again:?}");
    world.finish().await;
}
