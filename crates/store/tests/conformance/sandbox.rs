use std::time::Duration;

use pando_store::{Actual, Desired, Insert, MadeOf, SandboxRow, Swap};
use pando_types::page::Cursor;
use pando_types::quota::Awake;
use pando_types::{Epoch, Generation, NodeId, OrgId, SandboxId, SnapshotId};

use crate::support::{WHO, World};

#[tokio::test]
async fn a_row_comes_back_as_it_went_in() {
    let world = World::new().await;
    let row = world.sandbox(NodeId::new());
    assert_eq!(world.add_sandbox(&row).await, Insert::Done);
    assert_eq!(world.add_sandbox(&row).await, Insert::Exists);
    assert_eq!(world.store.sandbox_get(row.id).await.unwrap(), Some(row));
}

#[tokio::test]
async fn what_it_was_made_of_is_kept() {
    let world = World::new().await;
    for made_of in
        [MadeOf::Template, MadeOf::Snapshot(SnapshotId::new()), MadeOf::Fork(SandboxId::new())]
    {
        let row = SandboxRow { made_of, ..world.sandbox(NodeId::new()) };
        let _ = world.add_sandbox(&row).await;
        assert_eq!(world.store.sandbox_get(row.id).await.unwrap().unwrap().made_of, made_of);
    }
}

#[tokio::test]
async fn of_two_concurrent_changes_of_intent_one_wins() {
    let world = World::new().await;
    let node = NodeId::new();
    let row = world.sandbox(node);
    let _ = world.add_sandbox(&row).await;
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
    let _ = world.add_sandbox(&row).await;
    let (id, first) = (row.id, Generation::first());
    for (owner, epoch) in [(stranger, row.epoch), (node, row.epoch.next())] {
        let store = &world.store;
        let desired = store.sandbox_set_desired(id, owner, epoch, first, Desired::Paused).await;
        assert_eq!(desired.unwrap(), Swap::Stale);
        let other = SandboxRow { owner_node: owner, epoch, ..row.clone() };
        assert_eq!(world.keep(&other).await, Swap::Stale);
        assert_eq!(world.report(&other, Actual::Running, 1, None).await, Swap::Stale);
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
    let _ = world.add_sandbox(&row).await;
    let report = |actual, generation, boot_ms| world.report(&row, actual, generation, boot_ms);
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
    assert!(world.list(&[], None, 10).await.is_empty());
    assert!(world.list(&[("who", WHO)], None, 10).await.is_empty());
    assert!(world.store.sandbox_list_owned(node).await.unwrap().is_empty());
}

#[tokio::test]
async fn deleted_intent_never_goes_back() {
    let world = World::new().await;
    let node = NodeId::new();
    let row = world.sandbox(node);
    let _ = world.add_sandbox(&row).await;
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
    assert_eq!(world.keep(&row).await, Swap::Stale);
}

#[tokio::test]
async fn a_list_is_paged_by_key_and_misses_none() {
    let world = World::new().await;
    let node = NodeId::new();
    let mut all = Vec::new();
    for number in 0..7 {
        let row = world.sandbox(node);
        let _ = world.add_sandbox(&row).await;
        all.push((row.created, row.id));
        // Some share their moment.
        if number % 3 == 0 {
            world.pass(Duration::from_millis(1));
        }
    }
    all.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.list(&[], after, 2).await;
        let Some(last) = page.last() else { break };
        after = Some(Cursor { created: last.created, id: last.id });
        seen.extend(page.iter().map(|row| (row.created, row.id)));
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let world = World::new().await;
    let node = NodeId::new();
    let kept = world.sandbox(node);
    let _ = world.add_sandbox(&kept).await;
    // A transaction that never commits is the half of work that a crash leaves.
    let mut tx = world.store.begin().await.unwrap();
    let app = world.app("half");
    assert_eq!(tx.app_insert(&app).await.unwrap(), Insert::Done);
    drop(tx);
    let again = world.open_again().await;
    assert_eq!(again.sandbox_get(kept.id).await.unwrap(), Some(kept));
    assert_eq!(again.app_get(app.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_list_is_filtered_by_all_pairs_together() {
    let world = World::new().await;
    let node = NodeId::new();
    let mut made = Vec::new();
    for (user, task) in [("ann", "a"), ("ann", "b"), ("bob", "a"), ("%", "'")] {
        let mut row = world.sandbox(node);
        row.metadata.insert("user".into(), user.into());
        row.metadata.insert("task".into(), task.into());
        let _ = world.add_sandbox(&row).await;
        made.push(row.id);
        world.pass(Duration::from_millis(1));
    }
    let found = async |pairs: &[(&str, &str)]| {
        let rows = world.list(pairs, None, 10).await;
        rows.iter().map(|row| made.iter().position(|id| *id == row.id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found(&[("user", "ann")]).await, [0, 1]);
    assert_eq!(found(&[("task", "a")]).await, [0, 2]);
    assert_eq!(found(&[("user", "ann"), ("task", "a")]).await, [0]);
    assert_eq!(found(&[("user", "%"), ("task", "'"), ("who", WHO)]).await, [3]);
    assert!(found(&[("user", "an")]).await.is_empty());
    assert!(found(&[("User", "ann")]).await.is_empty());
    let first = world.list(&[("user", "ann")], None, 1).await.remove(0);
    let after = Some(Cursor { created: first.created, id: first.id });
    assert_eq!(world.list(&[("user", "ann")], after, 1).await[0].id, made[1]);
}

#[tokio::test]
async fn usage_counts_what_is_there_and_what_was_made_lately() {
    let world = World::new().await;
    let node = NodeId::new();
    let (first, second) = (world.sandbox(node), world.sandbox(node));
    let _ = world.add_sandbox(&first).await;
    world.pass(Duration::from_secs(20));
    let _ = world.add_sandbox(&SandboxRow { created: world.store.now(), ..second.clone() }).await;
    let usage = async |most| {
        let mut tx = world.store.begin().await.unwrap();
        tx.sandbox_usage(world.org, most).await.unwrap()
    };
    let seen = usage(3).await;
    assert_eq!(seen.awake, Awake { sandboxes: 2, vcpus: 4, memory_mib: 4096 });
    assert_eq!(seen.create_wait, None);
    assert_eq!(usage(2).await.create_wait, Some(Duration::from_secs(40)));
    assert_eq!(usage(1).await.create_wait, Some(Duration::from_secs(60)));
    assert!(usage(0).await.create_wait.is_some());

    // What sleeps takes neither.
    let _ = world.report(&second, Actual::Hibernated, 1, None).await;
    let seen = usage(3).await;
    assert_eq!(seen.awake, Awake { sandboxes: 1, vcpus: 2, memory_mib: 2048 });
    assert_eq!((seen.sleeping, seen.sleeping_mib), (1, 2048));
    let _ = world.report(&second, Actual::Running, 2, None).await;

    // What failed has no machine; what is gone was still made.
    let _ = world.report(&first, Actual::Failed, 1, None).await;
    assert_eq!((usage(3).await.awake.sandboxes, usage(3).await.awake.vcpus), (2, 2));
    let _ = world.report(&first, Actual::Deleted, 2, None).await;
    assert_eq!((usage(3).await.awake.sandboxes, usage(3).await.awake.memory_mib), (1, 2048));
    assert!(usage(2).await.create_wait.is_some());
    world.pass(Duration::from_secs(41));
    assert_eq!(usage(2).await.create_wait, None);
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.sandbox_usage(OrgId::new(), 1).await.unwrap(), Default::default());
}
