use pando_deploy::WebhookRequest;
use pando_types::Code;
use pando_types::app::DeploymentStatus;
use serde_json::json;

use crate::world::World;

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
    for (event, payload, why) in [
        ("push", world.push("main", &head), "is live on shop already"),
        ("push", world.push("other", &head), "deploys main, not other"),
        ("push", elsewhere, "no app is made from else/where"),
        ("push", deleted, "was deleted"),
        ("pull_request", world.pull("opened", 1, &head), "switched off"),
        ("pull_request", world.pull("labeled", 1, &head), "changes nothing"),
        ("pull_request", world.pull("closed", 1, &head), "it has no preview"),
        ("star", json!({}), "change nothing here"),
    ] {
        let delivery = world.webhook(event, &payload).await;
        assert_eq!(delivery.decision, "ignore", "{delivery:?}");
        assert!(delivery.reason.contains(why), "{delivery:?}");
    }
    assert_eq!(world.store.delivery_list(100).await.unwrap().len(), 8);
    assert_eq!(world.machines.made(), 1);
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
