use pando_types::app::App;
use pando_types::env::{EnvScope, ImportEnv, MASK, SetEnv};
use pando_types::repo::{EnablePreviewRepo, ImportPreviewEnv, PreviewRepo, SetPreviewEnv};
use pando_types::{Code, OrgId, PublicError};
use serde_json::json;

use crate::world::World;

const NUMBER: u64 = 4711;

impl World {
    async fn enable(&self, number: i64, name: Option<&str>) -> Result<PreviewRepo, PublicError> {
        let request =
            EnablePreviewRepo { github_repo_id: number, repo_full_name: name.map(str::to_owned) };
        self.deploy.preview_repo_enable(self.org, request).await
    }

    async fn repos(&self) -> Vec<(u64, String, bool)> {
        let list = self.deploy.preview_repo_list(self.org).await.unwrap();
        let repo = |it: PreviewRepo| (it.github_repo_id, it.repo_full_name, it.enabled);
        list.repos.into_iter().map(repo).collect()
    }

    async fn ping(&self, number: u64) {
        let mut repository = self.repository();
        repository["id"] = json!(number);
        self.webhook("ping", &json!({ "zen": "x", "repository": repository })).await;
    }

    async fn preview_env(&self) -> Vec<(String, String)> {
        let list = self.deploy.preview_env_list(self.org, NUMBER).await.unwrap();
        assert!(list.env.iter().all(|entry| entry.scope == EnvScope::Preview));
        list.env.into_iter().map(|entry| (entry.key, entry.value)).collect()
    }

    async fn own_env(&self, app: &App, scope: EnvScope) -> Vec<(String, String)> {
        let list = self.deploy.env_list(self.org, app.id).await.unwrap();
        let of = list.env.into_iter().filter(|entry| entry.scope == scope);
        of.map(|entry| (entry.key, entry.value)).collect()
    }
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_are_switched_by_repository() {
    let world = World::new().await;
    let unknown = world.enable(4711, Some("acme/shop")).await.unwrap_err();
    assert_eq!(unknown.code, Code::NotFound);
    assert!(unknown.hint.unwrap().contains("make an app"));
    let app = world.app(|app| app.previews = Some(false)).await;
    world.ended(app.id).await;
    // A number is known from a webhook, or from whoever has the app.
    assert_eq!(world.repos().await, []);
    assert_eq!(world.enable(4711, None).await.unwrap_err().code, Code::NotFound);
    assert_eq!(world.enable(4711, Some("acme/other")).await.unwrap_err().code, Code::NotFound);
    world.ping(NUMBER).await;
    assert_eq!(world.repos().await, [(NUMBER, "acme/shop".into(), false)]);

    let head = world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    let ignored = world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    assert_eq!(ignored.decision, "ignore", "{}", ignored.reason);
    let enabled = world.enable(4711, None).await.unwrap();
    assert_eq!((enabled.github_repo_id, enabled.enabled), (NUMBER, true));
    assert_eq!(world.repos().await, [(NUMBER, "acme/shop".into(), true)]);
    world.webhook("pull_request", &world.pull("synchronize", number, &head)).await;
    assert_eq!(world.previews().await.len(), 1);

    // Off again: what is there stays until its pull request closes.
    world.deploy.preview_repo_disable(world.org, NUMBER).await.unwrap();
    assert_eq!(world.repos().await, [(NUMBER, "acme/shop".into(), false)]);
    assert_eq!(world.previews().await.len(), 1);
    world.webhook("pull_request", &world.pull("closed", number, &head)).await;
    world.until("it is gone", async || world.previews().await.is_empty()).await;

    // What the forge says counts more than what a user says.
    let refused = world.enable(5, Some("Acme/Shop")).await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("github_repo_id"));
    for (number, name, field) in [
        (0, None, "github_repo_id"),
        (-1, None, "github_repo_id"),
        (1, Some("shop"), "repo_full_name"),
    ] {
        let refused = world.enable(number, name).await.unwrap_err();
        assert_eq!((refused.code, refused.field.as_deref()), (Code::InvalidRequest, Some(field)));
    }
    let foreign = world.deploy.preview_repo_disable(OrgId::new(), NUMBER).await.unwrap_err();
    assert_eq!(foreign.code, Code::NotFound);
    world.ping(5).await;
    assert_eq!(world.repos().await, [(5, "acme/shop".into(), false)]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_of_a_repository_are_given_variables_and_the_apps_keep_theirs() {
    let world = World::new().await;
    let shop = world.app(|_| {}).await;
    let admin = world.app(|app| app.name = "admin".into()).await;
    world.enable(4711, Some("Acme/Shop")).await.unwrap();
    let all = SetEnv { value: "own".into(), secret: false, scope: EnvScope::All };
    world.deploy.env_set(world.org, shop.id, "BOTH", all).await.unwrap();

    let set = async |key: &str, value: &str, secret| {
        let request = SetPreviewEnv { value: value.into(), secret };
        world.deploy.preview_env_set(world.org, NUMBER, key, request).await
    };
    let done = set("BOTH", "theirs", false).await.unwrap();
    assert_eq!((done.key.as_str(), done.scope), ("BOTH", EnvScope::Preview));
    set("TOKEN", "hunter2", true).await.unwrap();
    assert_eq!(world.preview_env().await, pairs(&[("BOTH", "theirs"), ("TOKEN", MASK)]));
    assert_eq!(world.own_env(&shop, EnvScope::Production).await, pairs(&[("BOTH", "own")]));
    for app in [&shop, &admin] {
        let theirs = pairs(&[("BOTH", "theirs"), ("TOKEN", MASK)]);
        assert_eq!(world.own_env(app, EnvScope::Preview).await, theirs);
    }
    let import = |text: &str| ImportPreviewEnv { dotenv: text.into(), secret: false };
    let done = world.deploy.preview_env_import(world.org, NUMBER, &import("A=1\nA=2\nB=")).await;
    assert_eq!(done.map(|done| (done.imported, done.total)), Ok((2, 3)));
    // Where the apps differ, each value is shown.
    let one = ImportEnv { dotenv: "A=other".into(), secret: false, scope: EnvScope::Preview };
    world.deploy.env_import(world.org, admin.id, &one).await.unwrap();
    let shown = [("A", "2"), ("A", "other"), ("B", ""), ("BOTH", "theirs"), ("TOKEN", MASK)];
    assert_eq!(world.preview_env().await, pairs(&shown));

    for key in ["A", "B", "TOKEN", "BOTH"] {
        world.deploy.preview_env_unset(world.org, NUMBER, key).await.unwrap();
    }
    let gone = world.deploy.preview_env_unset(world.org, NUMBER, "A").await.unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
    assert_eq!(world.preview_env().await, []);
    assert_eq!(world.own_env(&shop, EnvScope::Production).await, pairs(&[("BOTH", "own")]));

    // All apps or none: what is too much for one is given to none.
    let half = "x".repeat(40 * 1024);
    let full = ImportEnv { dotenv: format!("F={half}"), secret: false, scope: EnvScope::Preview };
    world.deploy.env_import(world.org, admin.id, &full).await.unwrap();
    let refused = set("X", &half, false).await.unwrap_err();
    assert_eq!((refused.code, refused.field.as_deref()), (Code::InvalidRequest, Some("value")));
    assert_eq!(world.own_env(&shop, EnvScope::Preview).await, []);
    assert_eq!(set("1X", "", false).await.unwrap_err().field.as_deref(), Some("key"));
    let bad = world.deploy.preview_env_import(world.org, NUMBER, &import("A=1\nB")).await;
    assert!(bad.unwrap_err().message.starts_with("line 2: "));
    let nobody = world.deploy.preview_env_list(OrgId::new(), NUMBER).await.unwrap_err();
    assert_eq!(nobody.code, Code::NotFound);
    world.finish().await;
}
