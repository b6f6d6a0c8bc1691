use std::time::Duration;

use pando_store::Actual;
use pando_types::limits::MAX_EVENTS;
use pando_types::sandbox::SandboxEventKind::{Created, Deleted, Paused};
use pando_types::{NodeId, SandboxId};

use crate::support::World;

async fn add(world: &World, id: SandboxId, kinds: &[pando_types::sandbox::SandboxEventKind]) {
    let mut tx = world.store.begin().await.unwrap();
    for kind in kinds {
        tx.event_add(id, *kind, Some("why")).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn events_are_numbered_within_their_sandbox() {
    let world = World::new().await;
    let (first, second) = (world.sandbox(NodeId::new()), world.sandbox(NodeId::new()));
    for row in [&first, &second] {
        let _ = world.add_sandbox(row).await;
        add(&world, row.id, &[Created, Paused, Deleted]).await;
    }
    let seen = world.store.event_list(first.id, 0, 10).await.unwrap();
    assert_eq!(seen.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(seen[2].kind, Deleted);
    assert_eq!(world.store.event_list(first.id, 0, 2).await.unwrap(), seen[1..]);
    assert_eq!(world.store.event_list(first.id, 2, 10).await.unwrap(), seen[2..]);
    assert!(world.store.event_list(SandboxId::new(), 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_oldest_event_goes_when_there_are_too_many() {
    let world = World::new().await;
    let row = world.sandbox(NodeId::new());
    let _ = world.add_sandbox(&row).await;
    add(&world, row.id, &vec![Paused; MAX_EVENTS as usize + 5]).await;
    let seen = world.store.event_list(row.id, 0, u32::MAX).await.unwrap();
    assert_eq!((seen.len(), seen[0].seq), (MAX_EVENTS as usize, 6));
}

#[tokio::test]
async fn events_outlive_their_sandbox_for_a_while() {
    let world = World::new().await;
    let (gone, there) = (world.sandbox(NodeId::new()), world.sandbox(NodeId::new()));
    for row in [&gone, &there] {
        let _ = world.add_sandbox(row).await;
        add(&world, row.id, &[Created]).await;
    }
    let _ = world.report(&gone, Actual::Deleted, 1, None).await;
    let end = world.store.now();
    assert_eq!(world.store.event_prune(end, 10).await.unwrap(), 0);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.store.event_prune(world.store.now(), 10).await.unwrap(), 1);
    assert_eq!(world.store.event_prune(world.store.now(), 10).await.unwrap(), 0);
    assert!(world.store.event_list(gone.id, 0, 10).await.unwrap().is_empty());
    assert_eq!(world.store.event_list(there.id, 0, 10).await.unwrap().len(), 1);
}
