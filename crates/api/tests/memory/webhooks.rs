//! Webhooks through the real router into real rows, and what owners of apps read of them.

use std::time::Instant;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use pando_types::limits::{MAX_WEBHOOK_BODY_BYTES, MAX_WEBHOOK_NAME_BYTES};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::apps::REPOSITORY;
use crate::world::{GIT_HOST, Org, WEBHOOK_SECRET, World};

/// Deliveries at once.
const MANY: usize = 1000;
/// The apps that they are about, each with a repository of its own.
const APPS: usize = 20;

fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body);
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

fn push(repository: &str, commit: &str) -> Value {
    json!({
        "ref": "refs/heads/main", "after": commit,
        "repository": { "full_name": "owner/repo", "clone_url": format!("{repository}.git"), "html_url": repository },
    })
}

fn commit(number: usize) -> String {
    format!("{number:040x}")
}

impl World {
    /// Sends a body with these headers, and no others.
    async fn send(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, Value) {
        let mut request = Request::post("/v1/webhooks/github");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(body.into()).unwrap()).await
    }

    /// Sends what a forge would.
    async fn deliver(&self, event: &str, id: &str, payload: &Value) -> (u16, Value) {
        let body = payload.to_string();
        let signature = sign(WEBHOOK_SECRET, body.as_bytes());
        let headers = [
            ("x-github-event", event),
            ("x-github-delivery", id),
            ("x-hub-signature-256", &signature),
        ];
        self.send(&headers, body).await
    }
}

impl Org {
    async fn deliveries(&self, app: &str) -> Vec<Value> {
        let (status, list) = self.ask("GET", &format!("{app}/deliveries"), &Value::Null).await;
        assert_eq!((status, &list["next_cursor"]), (200, &Value::Null), "{list}");
        list["items"].as_array().unwrap().clone()
    }

    async fn deployments(&self, app: &str) -> Vec<Value> {
        let (_, list) = self.ask("GET", &format!("{app}/deploys"), &Value::Null).await;
        list["items"].as_array().unwrap().clone()
    }
}

#[test]
fn what_is_not_signed_is_refused_and_nothing_comes_of_it() {
    World::run(async |world| {
        let owner = &world.orgs[0];
        let app = owner.app("shop", json!({})).await;
        let body = push(REPOSITORY, &commit(1)).to_string();
        let good = sign(WEBHOOK_SECRET, body.as_bytes());
        let (other, longer) = (sign("another", body.as_bytes()), format!("{good}00"));
        let long = format!("sha256={}", "a".repeat(100_000));
        let bare = good.trim_start_matches("sha256=").to_owned();
        let wrong_end = format!("{}{}", &good[..70], if good.ends_with('0') { '1' } else { '0' });
        for signature in
            ["", "sha256=", &good[..70], &bare, &other, &longer, &long, &wrong_end, "sha256=zz"]
        {
            let headers = [
                ("x-github-event", "push"),
                ("x-github-delivery", "one id"),
                ("x-hub-signature-256", signature),
            ];
            let (status, refusal) = world.send(&headers, body.clone()).await;
            assert_eq!(
                (status, &refusal["code"]),
                (401, &json!("unauthorized")),
                "{signature:.80}"
            );
        }
        let named = [("x-github-event", "push"), ("x-github-delivery", "one id")];
        assert_eq!(world.send(&named, body.clone()).await.0, 401);
        // Signed, and changed on its way, if only by a space.
        let signed = [named[0], named[1], ("x-hub-signature-256", good.as_str())];
        assert_eq!(world.send(&signed, format!("{body} ")).await.0, 401);
        let long_name = "x".repeat(MAX_WEBHOOK_NAME_BYTES + 1);
        for unnamed in [
            vec![named[0], signed[2]],
            vec![named[1], signed[2]],
            vec![named[0], ("x-github-delivery", &long_name), signed[2]],
        ] {
            assert_eq!(world.send(&unnamed, body.clone()).await.0, 400);
        }
        let large = vec![b' '; MAX_WEBHOOK_BODY_BYTES + 1];
        let signature = sign(WEBHOOK_SECRET, &large);
        let headers = [named[0], named[1], ("x-hub-signature-256", &signature)];
        assert_eq!(world.send(&headers, large).await.0, 413);
        assert_eq!(owner.deliveries(&app).await, Vec::<Value>::new());
        assert_eq!(owner.deployments(&app).await.len(), 1);

        // The same, as it should be; and as large as one may be.
        let (status, done) = world.send(&signed, body.clone()).await;
        assert_eq!((status, &done["decision"]), (202, &json!("deploy")), "{done}");
        let mut large = push(REPOSITORY, &commit(2)).to_string().into_bytes();
        large.resize(MAX_WEBHOOK_BODY_BYTES, b' ');
        let signature = sign(WEBHOOK_SECRET, &large);
        let headers =
            [named[0], ("x-github-delivery", "another"), ("x-hub-signature-256", &signature)];
        assert_eq!(world.send(&headers, large).await.0, 202);
        assert_eq!(owner.deliveries(&app).await.len(), 2);
    });
}

#[test]
fn an_org_reads_what_is_about_its_own_apps_alone() {
    World::run(async |world| {
        let [owner, stranger] = &world.orgs;
        let shop = owner.app("shop", json!({})).await;
        assert_eq!(world.deliver("ping", "0", &push(REPOSITORY, "")).await.0, 202);
        let (_, first) = world.deliver("push", "1", &push(REPOSITORY, &commit(1))).await;
        let secret = stranger.app("secret", json!({})).await;
        let (_, second) = world.deliver("push", "2", &push(REPOSITORY, &commit(2))).await;
        let elsewhere = push("https://forge.invalid/owner/other", &commit(3));
        let (status, third) = world.deliver("push", "3", &elsewhere).await;
        assert_eq!((status, &third["decision"]), (202, &json!("ignore")));
        let told = second["reason"].as_str().unwrap();
        assert!(told.contains("shop") && told.contains("secret"), "the forge is told all: {told}");
        assert_eq!(second["deployments"].as_array().unwrap().len(), 2);

        let mine = owner.deliveries(&shop).await;
        let reasons = |list: &[Value]| -> Vec<String> {
            list.iter().map(|it| it["reason"].as_str().unwrap().to_owned()).collect()
        };
        let (ping, goes) = ("a ping: the webhook works", "0000000 goes to");
        assert_eq!(reasons(&mine), [format!("{goes} shop"), format!("{goes} shop"), ping.into()]);
        assert_eq!((&mine[1]["id"], &mine[1]["event"]), (&json!("1"), &json!("push")));
        assert_eq!(mine[1]["deployments"], first["deployments"]);
        let theirs = stranger.deliveries(&secret).await;
        let before = "it came before the app was made";
        assert_eq!(reasons(&theirs), [format!("{goes} secret"), before.into(), ping.into()]);
        let (status, _) = stranger.ask("GET", &format!("{shop}/deliveries"), &Value::Null).await;
        assert_eq!(status, 404);
        // Whoever makes an app of it later finds what came.
        let url = json!({ "git_url": "https://forge.invalid/owner/other" });
        let other = owner.app("other", url).await;
        assert_eq!(reasons(&owner.deliveries(&other).await), ["no app is made from owner/repo"]);

        let page = format!("{shop}/deliveries?limit=2");
        let (_, first) = owner.ask("GET", &page, &Value::Null).await;
        let next = format!("{page}&cursor={}", first["next_cursor"].as_str().unwrap());
        let (_, last) = owner.ask("GET", &next, &Value::Null).await;
        assert_eq!(first["items"].as_array().unwrap(), &mine[..2]);
        assert_eq!(
            (last["items"].as_array().unwrap().as_slice(), &last["next_cursor"]),
            (&mine[2..], &Value::Null)
        );
    });
}

#[test]
fn a_thousand_deliveries_at_once_are_kept_and_end_in_one_deployment_for_each_head() {
    World::run(async |world| {
        let owner = &world.orgs[0];
        // A forge that takes a connection and says nothing: what is begun goes on.
        let _silent = TcpListener::bind(GIT_HOST).await.unwrap();
        let repository = |app: usize| format!("http://{GIT_HOST}/owner/repo-{app}");
        let mut apps = Vec::new();
        for app in 0..APPS {
            let url = json!({ "git_url": repository(app) });
            apps.push(owner.app(&format!("app-{app}"), url).await);
        }
        let payloads: Vec<Value> =
            (0..APPS).map(|app| push(&repository(app), &commit(app + 1))).collect();
        let begun = Instant::now();
        let answers = join_all((0..MANY).map(async |number| {
            world.deliver("push", &format!("delivery {number}"), &payloads[number % APPS]).await
        }));
        let answers = answers.await;
        println!("{MANY} deliveries to {APPS} apps at once: {} ms", begun.elapsed().as_millis());
        for (status, answer) in &answers {
            assert_eq!(*status, 202, "{answer}");
        }
        for (number, app) in apps.iter().enumerate() {
            let deployments = owner.deployments(app).await;
            let made: Vec<_> = deployments
                .iter()
                .map(|it| (&it["reason"], it["status"] == "superseded"))
                .collect();
            assert_eq!(made, [(&json!("push"), false), (&json!("create"), true)]);
            assert_eq!(deployments[0]["git_commit"], json!(commit(number + 1)));
            let kept = owner.deliveries(app).await;
            assert_eq!(kept.len(), MANY / APPS);
            let deploy = kept.iter().filter(|it| it["decision"] == "deploy").count();
            assert_eq!((deploy, &kept[kept.len() - 1]["decision"]), (1, &json!("deploy")));
        }
        // They are in the database itself, which another reader sees.
        assert_eq!(world.count_deliveries().await, i64::try_from(MANY).unwrap());
    });
}
