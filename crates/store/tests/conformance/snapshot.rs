use std::time::Duration;

use pando_store::{Insert, SnapshotRow, SnapshotSize, SnapshotState, Swap};
use pando_types::page::Cursor;
use pando_types::{NodeId, OrgId, SandboxId};

use crate::support::World;

const SIZE: SnapshotSize = SnapshotSize { own_bytes: 7, shared_bytes: 1 << 40, pause_ms: 40 };

async fn add(world: &World, row: &SnapshotRow) -> Insert {
    let mut tx = world.store.begin().await.unwrap();
    let insert = tx.snapshot_insert(row).await.unwrap();
    tx.commit().await.unwrap();
    insert
}

#[tokio::test]
async fn a_snapshot_counts_once_it_is_ready() {
    let world = World::new().await;
    let (sandbox, node) = (SandboxId::new(), NodeId::new());
    let row = world.snapshot(sandbox, node);
    assert_eq!(add(&world, &row).await, Insert::Done);
    assert_eq!(add(&world, &row).await, Insert::Exists);
    let store = &world.store;
    assert_eq!(store.snapshot_get(row.id).await.unwrap(), Some(row.clone()));
    assert!(store.snapshot_list(world.org, None, None, 10).await.unwrap().is_empty());
    let owned = store.snapshot_list_owned(node).await.unwrap();
    assert_eq!(owned, std::slice::from_ref(&row));

    let (taking, ready) = (SnapshotState::Taking, SnapshotState::Ready);
    let done = store.snapshot_advance(row.id, taking, ready, Some(SIZE)).await.unwrap();
    assert_eq!(done, Swap::Done);
    assert_eq!(store.snapshot_advance(row.id, taking, ready, None).await.unwrap(), Swap::Stale);
    let listed = store.snapshot_list(world.org, Some(sandbox), None, 10).await.unwrap();
    let SnapshotSize { own_bytes, shared_bytes, pause_ms } = SIZE;
    let whole = SnapshotRow { state: ready, own_bytes, shared_bytes, pause_ms, ..row.clone() };
    assert_eq!(listed, [whole]);
    for (org, of) in [(OrgId::new(), sandbox), (world.org, SandboxId::new())] {
        assert!(store.snapshot_list(org, Some(of), None, 10).await.unwrap().is_empty());
    }

    // What can be restored is not forgotten; what is on its way out is listed no more.
    assert!(!store.snapshot_forget(row.id).await.unwrap());
    let deleting = SnapshotState::Deleting;
    let swap = store.snapshot_advance(row.id, ready, deleting, None).await.unwrap();
    assert_eq!(swap, Swap::Done);
    assert!(store.snapshot_list(world.org, None, None, 10).await.unwrap().is_empty());
    assert!(store.snapshot_forget(row.id).await.unwrap());
    assert!(!store.snapshot_forget(row.id).await.unwrap());
    let swap = store.snapshot_advance(row.id, ready, deleting, None).await.unwrap();
    assert_eq!(swap, Swap::Missing);
}

#[tokio::test]
async fn snapshots_come_in_pages_and_are_counted() {
    let world = World::new().await;
    let mut rows = Vec::new();
    for _ in 0..3 {
        world.pass(Duration::from_millis(1));
        let row = SnapshotRow {
            state: SnapshotState::Ready,
            own_bytes: 5,
            ..world.snapshot(SandboxId::new(), NodeId::new())
        };
        let _ = add(&world, &row).await;
        rows.push(row);
    }
    let first = world.store.snapshot_list(world.org, None, None, 2).await.unwrap();
    assert_eq!(first, rows[..2]);
    let after = Cursor { created: first[1].created, id: first[1].id };
    let rest = world.store.snapshot_list(world.org, None, Some(after), 2).await.unwrap();
    assert_eq!(rest, rows[2..]);
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.snapshot_count(world.org).await.unwrap(), 3);
    assert_eq!(tx.snapshot_count(OrgId::new()).await.unwrap(), 0);
}
