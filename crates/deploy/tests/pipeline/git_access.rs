//! With what an app's repository is read.

use pando_types::app::{CreateApp, DeploymentStatus, UpdateApp};
use pando_types::{AppId, Code};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_kept_changed_and_taken_away() {
    let world = World::new().await;
    let app = world.app(|app| app.git_token = Some("a-token".into())).await;
    assert!(app.has_git_token && !app.has_deploy_key);
    // The forge asks nobody who only reads.
    assert_eq!(world.ended(app.id).await.status, DeploymentStatus::Live);
    let update = async |token: Option<&str>| {
        let change =
            UpdateApp { git_token: Some(token.map(str::to_owned)), ..UpdateApp::default() };
        world.deploy.app_update(world.org, app.id, change).await
    };
    assert!(update(Some("user:another")).await.unwrap().has_git_token);
    let other = UpdateApp { port: Some(Some(8080)), ..UpdateApp::default() };
    let changed = world.deploy.app_update(world.org, app.id, other).await.unwrap();
    assert!(changed.has_git_token, "it stays when something else is changed");
    assert_eq!(update(Some("a b")).await.unwrap_err().field.as_deref(), Some("git_token"));
    assert!(!update(None).await.unwrap().has_git_token);
    let head = world.repo.push("blue", &[("index.html", b"blue")], "blue").await.unwrap().sha;
    world.repo.open_pull_request("blue", "main", "Blue").await.unwrap();
    world.webhook("pull_request", &world.pull("opened", 1, &head)).await;
    let preview = world.previews().await.remove(0);
    let refused = world.deploy.deploy_key_make(world.org, preview.id).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    assert_eq!(world.ended(preview.id).await.status, DeploymentStatus::Live);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_key_is_made_once_and_belongs_to_the_app() {
    let world = World::new().await;
    let https = world.app(|_| {}).await;
    let refused = world.deploy.deploy_key_make(world.org, https.id).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    let request = CreateApp {
        name: "over-ssh".into(),
        git_url: "git@forge.invalid:acme/shop.git".into(),
        ..CreateApp::default()
    };
    let app = world.deploy.app_create(AppId::new(), world.org, request.clone()).await.unwrap();
    assert_eq!(app.git_url, request.git_url);
    let missing = world.deploy.deploy_key_get(world.org, app.id).await.unwrap_err();
    assert_eq!(missing.code, Code::NotFound);
    let key = world.deploy.deploy_key_make(world.org, app.id).await.unwrap();
    assert!(
        key.public_key.starts_with("ssh-ed25519 ") && key.public_key.ends_with(" pando-over-ssh")
    );
    assert_eq!(world.deploy.deploy_key_make(world.org, app.id).await.unwrap(), key);
    assert_eq!(world.deploy.deploy_key_get(world.org, app.id).await.unwrap(), key);
    assert!(world.deploy.app_get(world.org, app.id).await.unwrap().has_deploy_key);
    world.deploy.deploy_key_forget(world.org, app.id).await.unwrap();
    world.deploy.deploy_key_forget(world.org, app.id).await.unwrap();
    assert_ne!(world.deploy.deploy_key_make(world.org, app.id).await.unwrap(), key);
    let token = CreateApp { name: "x".into(), git_token: Some("t".into()), ..request };
    let refused = world.deploy.app_create(AppId::new(), world.org, token).await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("git_token"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_goes_with_the_last_app_that_has_its_address() {
    let world = World::new().await;
    let one = world.app(|_| {}).await;
    let two = world.app(|app| app.name = "docs".into()).await;
    let ssh = format!("ssh://git@{}/acme/shop", world.forge.address());
    let other = world.app(|app| (app.name, app.git_url) = ("ssh".into(), ssh)).await;
    for app in [&one, &two, &other] {
        world.ended(app.id).await;
    }
    assert_eq!(world.mirrors(), 1, "the one that is reached by ssh has no key");
    world.deploy.app_delete(world.org, one.id).await.unwrap();
    world.until("it is gone", async || world.apps().await.len() == 2).await;
    assert_eq!(world.mirrors(), 1);
    world.deploy.app_delete(world.org, two.id).await.unwrap();
    world.until("the mirror goes", async || world.mirrors() == 0).await;
    assert_eq!(world.apps().await.len(), 1);
    world.finish().await;
}
