use pando_store::{
    AppKind, AppRow, DeployKey, Insert, Listed, Presence, PreviewOf, PreviewedPull, Swap,
};
use pando_types::app::DeploymentStatus;
use pando_types::route::RouteTarget;
use pando_types::{AppId, DeploymentId, OrgId, SandboxId};

use crate::support::World;

fn preview(world: &World, parent: &AppRow, pr_number: u64) -> AppRow {
    let mut row = world.app("preview");
    row.label = format!("pr-{pr_number}-shop");
    row.kind = AppKind::Preview(PreviewOf {
        parent: parent.id,
        pr_number,
        repo_full_name: "acme/shop".into(),
    });
    row
}

#[tokio::test]
async fn a_name_is_taken_until_its_app_leaves() {
    let world = World::new().await;
    let first = world.app("shop");
    assert_eq!(world.add_app(&first).await, Insert::Done);
    assert_eq!(world.store.app_get(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(world.add_app(&world.app("shop")).await, Insert::Exists);
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.app_leave(&first).await.unwrap().0, Swap::Done);
    assert_eq!(tx.app_leave(&first).await.unwrap().0, Swap::Stale);
    tx.commit().await.unwrap();
    assert_eq!(world.add_app(&world.app("shop")).await, Insert::Done);
    // The leaving one is listed until it is gone.
    assert_eq!(world.store.app_list(world.org, Listed::All, None, 10).await.unwrap().len(), 2);
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.app_bury(first.id).await.unwrap(), Swap::Done);
    assert_eq!(tx.app_bury(first.id).await.unwrap(), Swap::Stale);
    tx.commit().await.unwrap();
    assert_eq!(world.store.app_list(world.org, Listed::All, None, 10).await.unwrap().len(), 1);
    let tombstone = world.store.app_get(first.id).await.unwrap().unwrap();
    assert_eq!(tombstone.presence, Presence::Gone);
    assert!(tombstone.env_sealed.is_empty(), "secrets go with the app");
}

#[tokio::test]
async fn a_pull_request_has_one_preview_and_is_found_by_number_alone() {
    let world = World::new().await;
    let parent = world.app("shop");
    let _ = world.add_app(&parent).await;
    let first = preview(&world, &parent, 7);
    assert_eq!(world.add_app(&first).await, Insert::Done);
    assert_eq!(world.add_app(&preview(&world, &parent, 7)).await, Insert::Exists);
    assert_eq!(world.add_app(&preview(&world, &parent, 8)).await, Insert::Done);
    let mut tx = world.store.begin().await.unwrap();
    let found = tx.app_list_pull_request(&first.repo_key, 7).await.unwrap();
    assert_eq!(found, vec![first]);
    assert_eq!(tx.app_list_previews(parent.id).await.unwrap().len(), 2);
    let apps = tx.app_list_repo(&parent.repo_key).await.unwrap();
    assert_eq!(apps, vec![parent.clone()]);
    for (org, key, addresses) in [
        (world.org, parent.repo_key.as_str(), vec![parent.git_url.clone()]),
        (world.org, "elsewhere", Vec::new()),
        (OrgId::new(), &parent.repo_key, Vec::new()),
    ] {
        assert_eq!(world.store.app_list_addresses(org, key).await.unwrap(), addresses);
    }
}

#[tokio::test]
async fn pull_requests_with_previews_are_listed_once() {
    let world = World::new().await;
    let parent = world.app("shop");
    let other = world.app("docs");
    let number = |parent: &AppRow, number: u64| {
        let mut row = preview(&world, parent, number);
        row.label = format!("pr-{number}-{}", parent.name);
        row
    };
    let leaving = number(&parent, 8);
    for row in
        [&parent, &other, &number(&parent, 10), &number(&parent, 9), &number(&other, 9), &leaving]
    {
        assert_eq!(world.add_app(row).await, Insert::Done);
    }
    let mut tx = world.store.begin().await.unwrap();
    let _ = tx.app_leave(&leaving).await.unwrap();
    tx.commit().await.unwrap();
    let list = async |after: Option<&PreviewedPull>, limit| {
        world.store.preview_list_pulls(after, limit).await.unwrap()
    };
    let all = list(None, 10).await;
    assert_eq!(all.iter().map(|it| it.number).collect::<Vec<_>>(), [9, 10]);
    assert_eq!((&all[0].repo_key, &*all[0].repo_full_name), (&parent.repo_key, "acme/shop"));
    assert_eq!(list(None, 1).await, all[..1]);
    assert_eq!(list(Some(&all[0]), 1).await, all[1..]);
    assert!(list(Some(&all[1]), 1).await.is_empty());
}

#[tokio::test]
async fn a_route_grows_over_close_and_reopen() {
    let world = World::new().await;
    let parent = world.app("shop");
    let _ = world.add_app(&parent).await;
    let first = preview(&world, &parent, 7);
    let _ = world.add_app(&first).await;
    let mut tx = world.store.begin().await.unwrap();
    let target = RouteTarget { sandbox: None, port: 3000 };
    let made = tx.route_put(first.id, &first.label, Some(target)).await.unwrap();
    let (old, new) = (SandboxId::new(), SandboxId::new());
    let flip = tx.app_flip(&first, DeploymentId::new(), old, first.port).await.unwrap().unwrap();
    assert_eq!(flip.previous, None);
    let flip = tx.app_flip(&first, DeploymentId::new(), new, first.port).await.unwrap().unwrap();
    assert_eq!(flip.previous, Some(old));
    assert!(flip.route.generation > made.generation);
    let (_, closed) = tx.app_leave(&first).await.unwrap();
    let closed = closed.unwrap();
    assert_eq!(closed.target, None);
    assert!(tx.app_flip(&first, DeploymentId::new(), old, first.port).await.unwrap().is_none());
    let second = preview(&world, &parent, 7);
    assert_eq!(tx.app_insert(&second).await.unwrap(), Insert::Done);
    let target = RouteTarget { sandbox: None, port: 3000 };
    let reopened = tx.route_put(second.id, &second.label, Some(target)).await.unwrap();
    assert!(reopened.generation > closed.generation);
    tx.commit().await.unwrap();
    let routes = world.store.route_list(None, 10).await.unwrap();
    assert_eq!(routes, vec![reopened.clone()]);
    assert!(world.store.route_list(Some(&reopened.label), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_app_shows_the_status_of_its_newest_deployment() {
    let world = World::new().await;
    let app = world.app("shop");
    let _ = world.add_app(&app).await;
    let mut failed = world.deployment(app.id, "a");
    failed.status = DeploymentStatus::Failed;
    world.add_deployment(&failed).await;
    let latest = |world: &World| {
        let store = world.store.clone();
        async move { store.app_get(app.id).await.unwrap().unwrap().latest }
    };
    assert_eq!(latest(&world).await, Some(DeploymentStatus::Failed));
    world.add_deployment(&world.deployment(app.id, "b")).await;
    assert_eq!(latest(&world).await, Some(DeploymentStatus::Queued));
}

#[tokio::test]
async fn what_opens_a_repository_is_kept_until_its_app_is_gone() {
    let world = World::new().await;
    let mut row = world.app("shop");
    row.git_token_sealed = Some(vec![1, 2]);
    let _ = world.add_app(&row).await;
    let get = async || world.store.app_get(row.id).await.unwrap().unwrap();
    assert_eq!(get().await.git_token_sealed, Some(vec![1, 2]));
    let key = DeployKey { private_sealed: vec![3], public: "ssh-ed25519 x".into() };
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.app_set_deploy_key(row.id, Some(&key)).await.unwrap(), Swap::Done);
    let change = AppRow { git_token_sealed: None, ..row.clone() };
    assert_eq!(tx.app_change(&change).await.unwrap(), Swap::Done);
    assert_eq!(tx.app_set_deploy_key(AppId::new(), None).await.unwrap(), Swap::Missing);
    tx.commit().await.unwrap();
    assert_eq!((get().await.git_token_sealed, get().await.deploy_key), (None, Some(key)));
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.app_leave(&row).await.unwrap().0, Swap::Done);
    assert_eq!(tx.app_set_deploy_key(row.id, None).await.unwrap(), Swap::Stale);
    assert_eq!(tx.app_bury(row.id).await.unwrap(), Swap::Done);
    tx.commit().await.unwrap();
    assert_eq!(get().await.deploy_key, None);
}

#[tokio::test]
async fn commits_that_are_live_or_were_lately_are_kept() {
    let world = World::new().await;
    let mut app = world.app("shop");
    app.git_token_sealed = Some(vec![1]);
    let _ = world.add_app(&app).await;
    let preview = preview(&world, &app, 7);
    let _ = world.add_app(&preview).await;
    let mut rows = Vec::new();
    for (app, commit, status) in [
        (app.id, "old", DeploymentStatus::Live),
        (app.id, "failed", DeploymentStatus::Failed),
        (app.id, "before", DeploymentStatus::Live),
        (app.id, "now", DeploymentStatus::Live),
        (preview.id, "pull", DeploymentStatus::Live),
    ] {
        let mut row = world.deployment(app, commit);
        (row.status, row.finished) = (status, Some(row.created));
        world.add_deployment(&row).await;
        rows.push(row);
    }
    let kept = async || {
        let mut kept = world.store.commit_list_kept(2).await.unwrap();
        assert!(kept.iter().all(|it| it.has_git_token && !it.has_deploy_key));
        assert!(kept.iter().all(|it| it.org == world.org && it.git_url == app.git_url));
        kept.sort_by(|one, other| one.commit.cmp(&other.commit));
        kept.into_iter().map(|it| it.commit).collect::<Vec<_>>()
    };
    assert_eq!(kept().await, ["before", "now", "pull"]);
    // Brought back by hand, the old one is live.
    let mut tx = world.store.begin().await.unwrap();
    tx.app_flip(&app, rows[0].id, SandboxId::new(), app.port).await.unwrap();
    assert_eq!(tx.app_leave(&preview).await.unwrap().0, Swap::Done);
    assert_eq!(tx.app_bury(preview.id).await.unwrap(), Swap::Done);
    tx.commit().await.unwrap();
    assert_eq!(kept().await, ["before", "now", "old"]);
}
