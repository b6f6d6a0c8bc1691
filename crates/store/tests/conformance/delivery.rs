use std::time::Duration;

use pando_store::{DeliveryRow, Insert};
use pando_types::DeploymentId;

use crate::support::World;

#[tokio::test]
async fn a_delivery_that_comes_again_finds_its_decision() {
    let world = World::new().await;
    let row = DeliveryRow {
        id: "72d3162e-cc78-11e3-81ab-4c9367dc0958".into(),
        event: "push".into(),
        decision: "deploy".into(),
        reason: "a push to main".into(),
        deployments: vec![DeploymentId::new()],
        received: world.store.now(),
    };
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.delivery_get(&row.id).await.unwrap(), None);
    assert_eq!(tx.delivery_insert(&row).await.unwrap(), Insert::Done);
    assert_eq!(tx.delivery_insert(&row).await.unwrap(), Insert::Exists);
    assert_eq!(tx.delivery_get(&row.id).await.unwrap(), Some(row.clone()));
    tx.commit().await.unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.store.delivery_list(10).await.unwrap(), vec![row.clone()]);
    assert_eq!(world.store.delivery_prune(row.received).await.unwrap(), 0);
    assert_eq!(world.store.delivery_prune(world.store.now()).await.unwrap(), 1);
}
