//! The REST calls, each judged by GitHub's own document.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the tests' own helpers fail as tests do"
)]

mod common;

use common::{TOKEN, World};
use pando_forge::{Exchange, Permission};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// A client as GitHub wants one.
fn client() -> Client {
    Client::builder().no_proxy().user_agent("pando-tests").build().unwrap()
}

struct Caller<'a> {
    world: &'a World,
    token: Option<&'a str>,
}

impl Caller<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("{}/repos/pando/hello{path}", self.world.forge.url());
        let mut request = client().request(method, url);
        if let Some(token) = self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, None).await
    }
}

async fn world_with_a_pull_request() -> World {
    let world = World::start().await;
    world.repo.commit("feature/one", &[("one.txt", b"1\n")], "One").await.unwrap();
    world.repo.open_pull_request("feature/one", "main", "One").await.unwrap();
    world
}

#[tokio::test]
async fn a_comment_is_written_found_and_edited() {
    let world = world_with_a_pull_request().await;
    let caller = Caller { world: &world, token: Some(TOKEN) };
    let path = "/issues/1/comments";
    let (status, made) = caller.ask(Method::POST, path, Some(json!({ "body": "First" }))).await;
    assert_eq!((status, &made["user"]["type"]), (StatusCode::CREATED, &"Bot".into()));
    let one = format!("/issues/comments/{}", made["id"]);
    let (status, edited) = caller.ask(Method::PATCH, &one, Some(json!({ "body": "Second" }))).await;
    assert_eq!((status, &edited["body"]), (StatusCode::OK, &"Second".into()));
    let comments = world.repo.comments(1).unwrap();
    assert_eq!(comments.len(), 1);
    assert_eq!(comments[0].body, "Second");

    for number in 0..3 {
        caller.ask(Method::POST, path, Some(json!({ "body": format!("More {number}") }))).await;
    }
    let anonymous = Caller { world: &world, token: None };
    let (_, page) = anonymous.get("/issues/1/comments?per_page=3&page=2").await;
    assert_eq!(page.as_array().unwrap().len(), 1);
    assert_eq!(page[0]["body"], "More 2");
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn a_list_links_to_its_next_page() {
    let world = world_with_a_pull_request().await;
    world.repo.commit("two", &[("two.txt", b"2\n")], "Two").await.unwrap();
    world.repo.open_pull_request("two", "main", "Two").await.unwrap();
    let mut url =
        Some(format!("{}/repos/pando/hello/pulls?state=open&per_page=1", world.forge.url()));
    let mut numbers = Vec::new();
    while let Some(address) = url {
        let response = client().get(address).send().await.unwrap();
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        url = link.and_then(|link| Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned()));
        let page: Value = response.json().await.unwrap();
        numbers
            .extend(page.as_array().unwrap().iter().map(|pull| pull["number"].as_u64().unwrap()));
    }
    assert_eq!(numbers, [2, 1]);
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn what_can_be_read_reads_as_githubs() {
    let world = world_with_a_pull_request().await;
    let caller = Caller { world: &world, token: Some(TOKEN) };
    let (_, repo) = caller.get("").await;
    assert_eq!(
        (&repo["full_name"], &repo["default_branch"]),
        (&"pando/hello".into(), &"main".into())
    );
    let (_, pull) = caller.get("/pulls/1").await;
    assert_eq!((&pull["state"], &pull["head"]["ref"]), (&"open".into(), &"feature/one".into()));
    let head = world.repo.head("feature/one").await.unwrap();
    for revision in ["feature/one", "feature%2Fone", "heads/feature/one", &head] {
        let (status, commit) = caller.get(&format!("/commits/{revision}")).await;
        assert_eq!((status, &commit["sha"]), (StatusCode::OK, &head.as_str().into()), "{revision}");
        assert_eq!(commit["parents"].as_array().unwrap().len(), 1);
    }

    world.repo.set_permission("ada", Permission::Write).unwrap();
    for (login, permission) in [("pando", "admin"), ("ada", "write"), ("stranger", "read")] {
        let (_, answer) = caller.get(&format!("/collaborators/{login}/permission")).await;
        assert_eq!(answer["permission"], permission);
    }

    world.repo.merge_pull_request(1).await.unwrap();
    let (_, open) = caller.get("/pulls").await;
    assert_eq!(open, json!([]));
    let (_, closed) = caller.get("/pulls?state=closed").await;
    assert_eq!(closed[0]["number"], 1);
    let (_, merged) = caller.get("/pulls/1").await;
    assert_eq!(merged["merged"], true);

    world.forge.create_fork("pando/hello", "ada/hello").await.unwrap();
    let fork = format!("{}/repos/ada/hello", world.forge.url());
    let fork: Value = client().get(fork).send().await.unwrap().json().await.unwrap();
    assert_eq!(fork["parent"]["full_name"], "pando/hello");
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn a_status_is_set_on_a_commit_that_exists() {
    let world = world_with_a_pull_request().await;
    let caller = Caller { world: &world, token: Some(TOKEN) };
    let head = world.repo.head("feature/one").await.unwrap();
    let status = json!({
        "state": "success", "context": "pando/preview", "description": "Live",
        "target_url": "http://preview.localhost:7070/",
    });
    let path = format!("/statuses/{head}");
    let (code, made) = caller.ask(Method::POST, &path, Some(status)).await;
    assert_eq!((code, &made["context"]), (StatusCode::CREATED, &"pando/preview".into()));
    let kept = world.repo.statuses(&head).unwrap();
    assert_eq!((kept.len(), kept[0].state.as_str()), (1, "success"));

    for (path, body) in [
        (path.as_str(), json!({ "state": "fine" })),
        (path.as_str(), json!({ "state": "success", "description": "x".repeat(141) })),
        ("/statuses/0123456789012345678901234567890123456789", json!({ "state": "success" })),
    ] {
        let (code, _) = caller.ask(Method::POST, path, Some(body)).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(world.repo.statuses(&head).unwrap().len(), 1);
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn refusals_are_githubs() {
    let world = world_with_a_pull_request().await;
    let good = Caller { world: &world, token: Some(TOKEN) };
    let anonymous = Caller { world: &world, token: None };
    let wrong = Caller { world: &world, token: Some("wrong") };
    let path = "/issues/1/comments";
    let comment = || Some(json!({ "body": "x" }));

    let (status, body) = anonymous.ask(Method::POST, path, comment()).await;
    assert_eq!((status.as_u16(), &body["message"]), (401, &"Requires authentication".into()));
    let (status, body) = wrong.ask(Method::POST, path, comment()).await;
    assert_eq!((status.as_u16(), &body["message"]), (401, &"Bad credentials".into()));
    let (status, _) = wrong.get(path).await;
    assert_eq!(status.as_u16(), 401, "a wrong token is refused for reading too");
    let (status, _) = anonymous.get("/collaborators/ada/permission").await;
    assert_eq!(status.as_u16(), 401);

    for path in ["/issues/9/comments", "/issues/x/comments"] {
        let (status, body) = good.ask(Method::POST, path, comment()).await;
        assert_eq!((status.as_u16(), &body["message"]), (404, &"Not Found".into()));
    }
    let (status, _) = good.ask(Method::PATCH, "/issues/comments/999", comment()).await;
    assert_eq!(status.as_u16(), 404);
    assert_eq!(good.get("/pulls/9").await.0.as_u16(), 404);
    assert_eq!(good.get("/commits/nowhere").await.0.as_u16(), 422);
    for body in [
        json!({}),
        json!({ "body": "" }),
        json!({ "body": 1 }),
        json!({ "body": "x".repeat(65_537) }),
    ] {
        let (status, answer) = good.ask(Method::POST, path, Some(body)).await;
        assert_eq!((status.as_u16(), &answer["message"]), (422, &"Validation Failed".into()));
    }
    let bad_json = client()
        .post(format!("{}/repos/pando/hello{path}", world.forge.url()))
        .bearer_auth(TOKEN)
        .body("{");
    assert_eq!(bad_json.send().await.unwrap().status().as_u16(), 400);
    assert!(world.repo.comments(1).unwrap().is_empty());
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn what_github_would_not_take_breaks_the_contract() {
    let world = World::start().await;
    let contract =
        pando_forge::contract::Contract::load().unwrap_or_else(|error| panic!("{error}"));
    let url = world.forge.url();
    let nameless = Client::builder().no_proxy().build().unwrap();
    for (request, status, fault) in [
        (nameless.get(format!("{url}/repos/pando/hello")), 403, "User-Agent"),
        (client().get(format!("{url}/repos/pando/hello/nowhere")), 501, "no such path"),
        (client().get(format!("{url}/user")), 501, "501"),
        (client().delete(format!("{url}/repos/pando/hello/pulls/1")), 501, "no DELETE"),
        (client().get(format!("{url}/repos/pando/hello/pulls?stat=open")), 200, "`stat`"),
    ] {
        assert_eq!(request.send().await.unwrap().status().as_u16(), status);
        let exchange = world.forge.exchanges().pop().expect("an exchange");
        let breach = contract.check(&exchange).expect_err("a breach").to_string();
        assert!(breach.contains(fault), "{breach}");
    }
    // No credential is kept.
    client().get(format!("{url}/repos/pando/hello")).bearer_auth(TOKEN).send().await.unwrap();
    let Some(Exchange::Rest(last)) = world.forge.exchanges().pop() else { panic!("no exchange") };
    assert!(!format!("{last:?}").contains(TOKEN));
    world.finish().await;
}
