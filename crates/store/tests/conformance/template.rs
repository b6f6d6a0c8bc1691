use std::time::Duration;

use pando_store::{Swap, TemplateBuildRow, TemplateRow};
use pando_types::page::Cursor;
use pando_types::template::TemplateBuildStatus;
use pando_types::{NodeId, OrgId, SnapshotId, TemplateBuildId};

use crate::support::World;

fn template(world: &World, name: &str, node: NodeId) -> TemplateRow {
    TemplateRow {
        org: world.org,
        name: name.into(),
        version: 1,
        cpu: 1,
        memory_mib: 512,
        size_bytes: 1 << 40,
        snapshot: SnapshotId::new(),
        owner_node: node,
        config: "{}".into(),
        created: world.store.now(),
    }
}

async fn replace(world: &World, row: &TemplateRow) -> Option<TemplateRow> {
    let mut tx = world.store.begin().await.unwrap();
    let former = tx.template_replace(row).await.unwrap();
    tx.commit().await.unwrap();
    former
}

fn build(world: &World, node: NodeId) -> TemplateBuildRow {
    TemplateBuildRow {
        id: TemplateBuildId::new(),
        org: world.org,
        owner_node: node,
        name: "web".into(),
        status: TemplateBuildStatus::Queued,
        error: None,
        size_mib: 64,
        bytes: None,
        image_ref: Some("debian:12".into()),
        created: world.store.now(),
        started: None,
        ended: None,
    }
}

async fn add(world: &World, row: &TemplateBuildRow) {
    let mut tx = world.store.begin().await.unwrap();
    tx.template_build_insert(row).await.unwrap();
    tx.commit().await.unwrap();
}

async fn end(world: &World, id: TemplateBuildId, outcome: Result<u64, &str>) -> Swap {
    let mut tx = world.store.begin().await.unwrap();
    let swap = tx.template_build_end(id, outcome, world.store.now()).await.unwrap();
    tx.commit().await.unwrap();
    swap
}

#[tokio::test]
async fn a_template_takes_the_place_of_another() {
    let world = World::new().await;
    let (store, node) = (&world.store, NodeId::new());
    let first = template(&world, "web", node);
    assert_eq!(replace(&world, &first).await, None);
    assert_eq!(store.template_get(world.org, "web").await.unwrap(), Some(first.clone()));
    assert_eq!(store.template_get(OrgId::new(), "web").await.unwrap(), None);
    let second = template(&world, "web", node);
    assert_eq!(replace(&world, &second).await, Some(first.clone()));
    let second = TemplateRow { version: 2, ..second };
    let other = template(&world, "api", node);
    assert_eq!(replace(&world, &other).await, None);
    assert_eq!(store.template_list(world.org).await.unwrap(), [other.clone(), second.clone()]);
    assert_eq!(store.template_list_owned(node).await.unwrap(), [other, second.clone()]);
    assert!(store.template_list_owned(NodeId::new()).await.unwrap().is_empty());
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.template_count_others(world.org, "web").await.unwrap(), 1);
    assert_eq!(tx.template_count_others(world.org, "new").await.unwrap(), 2);
    drop(tx);

    // Whoever wants the first one gone does not end the second.
    assert!(!store.template_forget(world.org, "web", first.snapshot).await.unwrap());
    assert!(store.template_forget(world.org, "web", second.snapshot).await.unwrap());
    assert!(!store.template_forget(world.org, "web", second.snapshot).await.unwrap());
}

#[tokio::test]
async fn a_build_ends_once() {
    let world = World::new().await;
    let (store, node) = (&world.store, NodeId::new());
    let row = build(&world, node);
    add(&world, &row).await;
    assert_eq!(store.template_build_get(row.id).await.unwrap(), Some(row.clone()));
    assert_eq!(store.template_build_begin(row.id).await.unwrap(), Swap::Done);
    assert_eq!(store.template_build_begin(row.id).await.unwrap(), Swap::Stale);
    assert_eq!(store.template_build_begin(TemplateBuildId::new()).await.unwrap(), Swap::Missing);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.template_build_open(world.org).await.unwrap(), 1);
    assert_eq!(tx.template_build_open(OrgId::new()).await.unwrap(), 0);
    drop(tx);
    world.pass(Duration::from_millis(5));
    assert_eq!(end(&world, row.id, Ok(7)).await, Swap::Done);
    assert_eq!(end(&world, row.id, Err("late")).await, Swap::Stale);
    let done = store.template_build_get(row.id).await.unwrap().unwrap();
    assert_eq!((done.status, done.bytes, done.error), (TemplateBuildStatus::Done, Some(7), None));
    assert!(done.ended > done.started);

    let open = build(&world, node);
    add(&world, &open).await;
    add(&world, &build(&world, NodeId::new())).await;
    assert_eq!(store.template_build_fail_open(node, "it stopped").await.unwrap(), 1);
    let failed = store.template_build_get(open.id).await.unwrap().unwrap();
    assert_eq!(
        (failed.status, failed.error.as_deref()),
        (TemplateBuildStatus::Failed, Some("it stopped"))
    );
}

#[tokio::test]
async fn builds_come_in_pages_and_old_ones_go() {
    let world = World::new().await;
    let node = NodeId::new();
    let mut ids = Vec::new();
    for _ in 0..4 {
        world.pass(Duration::from_millis(1));
        let row = build(&world, node);
        add(&world, &row).await;
        ids.push(row.id);
    }
    let list = |after, limit| world.store.template_build_list(world.org, after, limit);
    let page = list(None, 3).await.unwrap();
    assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), ids[..3]);
    let after = Cursor { created: page[2].created, id: page[2].id };
    let rest = list(Some(after), 3).await.unwrap();
    assert_eq!(rest.iter().map(|row| row.id).collect::<Vec<_>>(), ids[3..]);

    // One that has not ended stays, however old it is.
    for id in &ids[1..] {
        assert_eq!(end(&world, *id, Err("no")).await, Swap::Done);
    }
    let mut gone = world.store.template_build_prune(world.org, 2).await.unwrap();
    gone.sort();
    assert_eq!(gone, [ids[1]]);
    assert!(world.store.template_build_prune(world.org, 2).await.unwrap().is_empty());
}
