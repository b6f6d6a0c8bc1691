use std::collections::BTreeSet;
use std::time::Duration;

use pando_store::{DeliveryRow, Insert, VerdictRow};
use pando_types::page::Cursor;
use pando_types::{AppId, DeploymentId};

use crate::support::World;

const REPO: &str = "forge.example/acme/shop";

fn delivery(world: &World, id: &str) -> DeliveryRow {
    let deployments = vec![DeploymentId::new()];
    let verdict = VerdictRow {
        app: AppId::new(),
        decision: "deploy".into(),
        reason: "a push to main".into(),
        deployments: deployments.clone(),
    };
    DeliveryRow {
        id: id.into(),
        event: "push".into(),
        repository: Some("acme/shop".into()),
        decision: "deploy".into(),
        reason: "a push to main".into(),
        deployments,
        verdicts: vec![verdict],
        received: world.store.now(),
    }
}

async fn add(world: &World, row: &DeliveryRow, keys: &[&str]) -> Insert {
    let keys: BTreeSet<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let mut tx = world.store.begin().await.unwrap();
    let insert = tx.delivery_insert(row, &keys).await.unwrap();
    tx.commit().await.unwrap();
    insert
}

#[tokio::test]
async fn a_delivery_that_comes_again_finds_its_decision() {
    let world = World::new().await;
    let row = delivery(&world, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(add(&world, &row, &[REPO]).await, Insert::Done);
    assert_eq!(add(&world, &row, &[REPO, "elsewhere"]).await, Insert::Exists);
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.delivery_get(&row.id).await.unwrap(), Some(row.clone()));
    assert_eq!(tx.delivery_get("another").await.unwrap(), None);
    drop(tx);
    let again = world.open_again().await;
    let listed = again.delivery_list(REPO, None, 10).await.unwrap();
    assert_eq!(listed.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), vec![row]);
    assert!(again.delivery_list("elsewhere", None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn deliveries_are_listed_by_repository_newest_first_page_by_page() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for number in 0..5 {
        // Two of one moment, and one id that is like no other.
        let id = format!("{number} näh/<>");
        let _ = add(&world, &delivery(&world, &id), &[REPO, "forge.example/other"]).await;
        expected.insert(0, id);
        let _ = add(&world, &delivery(&world, &format!("x{number}")), &["elsewhere"]).await;
        world.pass(Duration::from_millis(number % 2));
    }
    for repo in [REPO, "forge.example/other"] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = world.store.delivery_list(repo, before, 2).await.unwrap();
            let Some((place, last)) = page.last() else { break };
            before = Some(Cursor { created: last.received, id: *place });
            seen.extend(page.into_iter().map(|(_, row)| row.id));
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn old_deliveries_are_forgotten_whole() {
    let world = World::new().await;
    let row = delivery(&world, "old");
    let _ = add(&world, &row, &[REPO]).await;
    world.pass(Duration::from_secs(60));
    let _ = add(&world, &delivery(&world, "new"), &[REPO]).await;
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.delivery_prune(row.received).await.unwrap(), 0);
    assert_eq!(tx.delivery_prune(world.store.now()).await.unwrap(), 1);
    tx.commit().await.unwrap();
    let left = world.store.delivery_list(REPO, None, 10).await.unwrap();
    assert_eq!(left.into_iter().map(|(_, row)| row.id).collect::<Vec<_>>(), ["new"]);
}
