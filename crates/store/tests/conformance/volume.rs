use std::time::Duration;

use pando_store::{Actual, Insert, Swap, VolumeRow, VolumeState, VolumeUse};
use pando_types::page::Cursor;
use pando_types::{NodeId, OrgId, SandboxId, VolumeId};

use crate::support::World;

async fn add(world: &World, row: &VolumeRow) -> Insert {
    let mut tx = world.store.begin().await.unwrap();
    let insert = tx.volume_insert(row).await.unwrap();
    tx.commit().await.unwrap();
    insert
}

async fn hold(world: &World, volume: VolumeId, holder: SandboxId) -> Swap {
    let mut tx = world.store.begin().await.unwrap();
    let swap = tx.volume_hold(volume, holder).await.unwrap();
    tx.commit().await.unwrap();
    swap
}

async fn holder(world: &World, volume: VolumeId) -> Option<SandboxId> {
    world.store.volume_get(volume).await.unwrap().unwrap().holder
}

#[tokio::test]
async fn a_volume_counts_once_it_is_ready_and_its_name_until_it_is_gone() {
    let world = World::new().await;
    let (store, node) = (&world.store, NodeId::new());
    let row = world.volume("data", node);
    assert_eq!(add(&world, &row).await, Insert::Done);
    assert_eq!(add(&world, &row).await, Insert::Exists);
    assert_eq!(add(&world, &world.volume("data", node)).await, Insert::Exists);
    assert_eq!(store.volume_get(row.id).await.unwrap(), Some(row.clone()));
    assert_eq!(store.volume_list_owned(node).await.unwrap(), std::slice::from_ref(&row));
    assert!(store.volume_list(world.org, None, 10).await.unwrap().is_empty());
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.volume_named(world.org, "data").await.unwrap(), None);
    drop(tx);

    assert_eq!(store.volume_ready(row.id).await.unwrap(), Swap::Done);
    assert_eq!(store.volume_ready(row.id).await.unwrap(), Swap::Stale);
    let ready = VolumeRow { state: VolumeState::Ready, ..row.clone() };
    assert_eq!(store.volume_list(world.org, None, 10).await.unwrap(), std::slice::from_ref(&ready));
    assert_eq!(store.volume_named(world.org, "data").await.unwrap(), Some(ready));
    assert_eq!(store.volume_named(OrgId::new(), "data").await.unwrap(), None);

    assert!(!store.volume_forget(row.id).await.unwrap(), "it is ready");
    assert_eq!(store.volume_unwant(row.id).await.unwrap(), Swap::Done);
    assert_eq!(store.volume_unwant(row.id).await.unwrap(), Swap::Stale);
    assert!(store.volume_list(world.org, None, 10).await.unwrap().is_empty());
    assert_eq!(add(&world, &world.volume("data", node)).await, Insert::Exists);
    assert!(store.volume_forget(row.id).await.unwrap());
    assert_eq!(store.volume_unwant(row.id).await.unwrap(), Swap::Missing);
    assert_eq!(add(&world, &world.volume("data", node)).await, Insert::Done);
}

#[tokio::test]
async fn one_sandbox_holds_a_volume_until_it_is_gone_or_has_failed() {
    let world = World::new().await;
    let node = NodeId::new();
    let volume = world.volume("data", node);
    let _ = add(&world, &volume).await;
    for (end, before) in [(Actual::Deleted, Actual::Hibernated), (Actual::Failed, Actual::Running)]
    {
        let (first, second) = (world.sandbox(node), world.sandbox(node));
        let _ = (world.add_sandbox(&first).await, world.add_sandbox(&second).await);
        if end == Actual::Deleted {
            assert_eq!(hold(&world, volume.id, first.id).await, Swap::Stale, "it is not ready");
            assert_eq!(world.store.volume_ready(volume.id).await.unwrap(), Swap::Done);
        }
        assert_eq!(hold(&world, volume.id, first.id).await, Swap::Done);
        assert_eq!(hold(&world, volume.id, second.id).await, Swap::Stale);
        assert_eq!(world.store.volume_unwant(volume.id).await.unwrap(), Swap::Stale);
        assert_eq!(world.report(&second, end, 1, None).await, Swap::Done);
        assert_eq!(world.report(&first, before, 1, None).await, Swap::Done);
        assert_eq!(holder(&world, volume.id).await, Some(first.id));
        assert_eq!(world.report(&first, end, 2, None).await, Swap::Done);
        assert_eq!(holder(&world, volume.id).await, None);
    }
}

#[tokio::test]
async fn a_sandbox_tells_what_it_has_of_volumes() {
    let world = World::new().await;
    let mut row = world.sandbox(NodeId::new());
    row.volumes = vec![VolumeUse { name: "data".into(), read_only: true, copy: false }];
    let _ = world.add_sandbox(&row).await;
    assert_eq!(world.store.sandbox_get(row.id).await.unwrap(), Some(row));
}

#[tokio::test]
async fn volumes_come_in_pages_and_are_counted() {
    let world = World::new().await;
    let mut rows = Vec::new();
    for name in ["a", "b", "c"] {
        world.pass(Duration::from_millis(1));
        let row = VolumeRow { state: VolumeState::Ready, ..world.volume(name, NodeId::new()) };
        let _ = add(&world, &row).await;
        rows.push(row);
    }
    let first = world.store.volume_list(world.org, None, 2).await.unwrap();
    assert_eq!(first, rows[..2]);
    let after = Cursor { created: first[1].created, id: first[1].id };
    assert_eq!(world.store.volume_list(world.org, Some(after), 2).await.unwrap(), rows[2..]);
    let mut tx = world.store.begin().await.unwrap();
    let usage = tx.volume_usage(world.org).await.unwrap();
    assert_eq!((usage.volumes, usage.mib), (3, 3 * 64));
    assert_eq!(tx.volume_usage(OrgId::new()).await.unwrap(), Default::default());
}
