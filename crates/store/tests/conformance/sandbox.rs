use std::time::Duration;

use pando_store::{Actual, Desired, Insert, Swap};
use pando_types::{Epoch, Generation, NodeId, SandboxId};

use crate::support::World;

#[tokio::test]
async fn a_row_comes_back_as_it_went_in() {
    let world = World::new().await;
    let row = world.sandbox(NodeId::new());
    assert_eq!(world.store.sandbox_insert(&row).await.unwrap(), Insert::Done);
    assert_eq!(world.store.sandbox_insert(&row).await.unwrap(), Insert::Exists);
    assert_eq!(world.store.sandbox_get(row.id).await.unwrap(), Some(row));
}

#[tokio::test]
async fn of_two_concurrent_changes_of_intent_one_wins() {
    let world = World::new().await;
    let node = NodeId::new();
    let row = world.sandbox(node);
    let _ = world.store.sandbox_insert(&row).await.unwrap();
    let other = world.open_again().await;
    let change = |store: pando_store::Store, desired| async move {
        let epoch = Epoch::first();
        store.sandbox_set_desired(row.id, node, epoch, Generation::first(), desired).await.unwrap()
    };
    let (a, b) = tokio::join!(
        tokio::spawn(change(world.store.clone(), Desired::Paused)),
        tokio::spawn(change(other, Desired::Deleted)),
    );
    let mut answers = [a.unwrap(), b.unwrap()];
    answers.sort_by_key(|swap| *swap != Swap::Done);
    assert_eq!(answers, [Swap::Done, Swap::Stale]);
    let row = world.store.sandbox_get(row.id).await.unwrap().unwrap();
    assert_eq!(row.desired_gen, Generation::first().next());
}

#[tokio::test]
async fn a_former_owner_is_fenced_everywhere() {
    let world = World::new().await;
    let (node, stranger) = (NodeId::new(), NodeId::new());
    let row = world.sandbox(node);
    let _ = world.store.sandbox_insert(&row).await.unwrap();
    let (id, first) = (row.id, Generation::first());
    for (owner, epoch) in [(stranger, row.epoch), (node, row.epoch.next())] {
        let store = &world.store;
        let desired = store.sandbox_set_desired(id, owner, epoch, first, Desired::Paused).await;
        assert_eq!(desired.unwrap(), Swap::Stale);
        let lifecycle = store.sandbox_set_lifecycle(id, owner, epoch, None, None, true).await;
        assert_eq!(lifecycle.unwrap(), Swap::Stale);
        let report =
            store.sandbox_report(id, owner, epoch, Actual::Running, first.next(), None, None).await;
        assert_eq!(report.unwrap(), Swap::Stale);
    }
    assert_eq!(world.store.sandbox_get(id).await.unwrap(), Some(row));
    let nobody = SandboxId::new();
    let swap =
        world.store.sandbox_set_desired(nobody, node, Epoch::first(), first, Desired::Paused).await;
    assert_eq!(swap.unwrap(), Swap::Missing);
}

#[tokio::test]
async fn an_older_report_never_replaces_a_newer_one_and_deleted_is_final() {
    let world = World::new().await;
    let node = NodeId::new();
    let row = world.sandbox(node);
    let _ = world.store.sandbox_insert(&row).await.unwrap();
    let report = |actual, generation, boot_ms| {
        let store = world.store.clone();
        async move {
            let generation = Generation::from_row(generation);
            store
                .sandbox_report(
                    row.id,
                    node,
                    Epoch::first(),
                    actual,
                    generation,
                    Some("why"),
                    boot_ms,
                )
                .await
                .unwrap()
        }
    };
    assert_eq!(report(Actual::Running, 2, Some(77)).await, Swap::Done);
    assert_eq!(report(Actual::Paused, 2, None).await, Swap::Stale);
    assert_eq!(report(Actual::Creating, 1, None).await, Swap::Stale);
    assert_eq!(report(Actual::Paused, 3, None).await, Swap::Done);
    let seen = world.store.sandbox_get(row.id).await.unwrap().unwrap();
    assert_eq!((seen.actual, seen.boot_ms, seen.desired), (Actual::Paused, 77, Desired::Running));
    assert_eq!(report(Actual::Deleted, 4, None).await, Swap::Done);
    assert_eq!(report(Actual::Running, 5, None).await, Swap::Stale);
    let tombstone = world.store.sandbox_get(row.id).await.unwrap().unwrap();
    assert_eq!(tombstone.actual, Actual::Deleted);
    assert!(world.store.sandbox_list(world.org, None, 10).await.unwrap().is_empty());
    assert!(world.store.sandbox_list_owned(node).await.unwrap().is_empty());
}

#[tokio::test]
async fn deleted_intent_never_goes_back() {
    let world = World::new().await;
    let node = NodeId::new();
    let row = world.sandbox(node);
    let _ = world.store.sandbox_insert(&row).await.unwrap();
    let epoch = Epoch::first();
    let mut generation = Generation::first();
    for (desired, expected) in [
        (Desired::Paused, Swap::Done),
        (Desired::Deleted, Swap::Done),
        (Desired::Running, Swap::Stale),
    ] {
        let swap = world.store.sandbox_set_desired(row.id, node, epoch, generation, desired).await;
        assert_eq!(swap.unwrap(), expected, "{desired:?}");
        generation = generation.next();
    }
    let swap = world.store.sandbox_set_lifecycle(row.id, node, epoch, None, None, true).await;
    assert_eq!(swap.unwrap(), Swap::Stale);
}

#[tokio::test]
async fn a_list_is_paged_by_key_and_misses_none() {
    let world = World::new().await;
    let node = NodeId::new();
    let mut all = Vec::new();
    for number in 0..7 {
        let row = world.sandbox(node);
        let _ = world.store.sandbox_insert(&row).await.unwrap();
        all.push((row.created, row.id));
        // Some share their moment.
        if number % 3 == 0 {
            world.pass(Duration::from_millis(1));
        }
    }
    all.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.store.sandbox_list(world.org, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.created, last.id));
        seen.extend(page.iter().map(|row| (row.created, row.id)));
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let world = World::new().await;
    let node = NodeId::new();
    let kept = world.sandbox(node);
    let _ = world.store.sandbox_insert(&kept).await.unwrap();
    // A transaction that never commits is the half of work that a crash leaves.
    let mut tx = world.store.begin().await.unwrap();
    let app = world.app("half");
    assert_eq!(tx.app_insert(&app).await.unwrap(), Insert::Done);
    drop(tx);
    let again = world.open_again().await;
    assert_eq!(again.sandbox_get(kept.id).await.unwrap(), Some(kept));
    assert_eq!(again.app_get(app.id).await.unwrap(), None);
}
