use pando_store::{Insert, RepoRow};
use pando_types::OrgId;

use crate::support::World;

fn repo(number: u64, full_name: &str) -> RepoRow {
    RepoRow { key: "https://forge.example/acme/shop".into(), number, full_name: full_name.into() }
}

#[tokio::test]
async fn a_repository_is_known_to_those_who_have_apps_of_it() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    tx.repo_put_for_all(&repo(7, "acme/shop")).await.unwrap();
    assert!(tx.repo_list_numbered(world.org, 7).await.unwrap().is_empty(), "nobody has any");
    drop(tx);
    let mut app = world.app("shop");
    app.previews = false;
    let _ = world.add_app(&app).await;
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.app_list_repo_keys(world.org).await.unwrap(), [(app.id, app.repo_key.clone())]);
    // What the forge says counts more than what a user said.
    assert_eq!(tx.repo_insert(world.org, &repo(8, "a/b")).await.unwrap(), Insert::Done);
    assert_eq!(tx.repo_insert(world.org, &repo(9, "a/b")).await.unwrap(), Insert::Exists);
    tx.repo_put_for_all(&repo(u64::from(u32::MAX), "Acme/Shop")).await.unwrap();
    assert!(tx.repo_list_numbered(world.org, 8).await.unwrap().is_empty());
    assert!(tx.repo_list_numbered(OrgId::new(), u64::from(u32::MAX)).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    let known = repo(u64::from(u32::MAX), "Acme/Shop");
    assert_eq!(world.store.repo_list(world.org).await.unwrap(), [(known.clone(), false)]);
    let _ = world.add_app(&world.app("blog")).await;
    assert_eq!(world.store.repo_list(world.org).await.unwrap(), [(known, true)]);
}
