//! Snapshots and forks: what is made of them is whole, whatever becomes of the rest.

use std::os::unix::fs::FileExt;

use pando_types::{Epoch, SandboxId, SnapshotId};

use super::{SHAPE, World};
use crate::{Child, NodeError, SandboxSpec, Source, State};

const EPOCH: Epoch = Epoch::first();

impl World {
    fn child(&self) -> Child {
        Child {
            id: SandboxId::new(),
            epoch: EPOCH,
            org: self.org,
            deadline: None,
            persistent: false,
            idle_timeout: None,
            egress_deny: Vec::new(),
        }
    }

    pub(super) async fn fork(&self, parent: SandboxId, count: usize) -> Vec<SandboxId> {
        let children: Vec<_> = (0..count).map(|_| self.child()).collect();
        let ids = children.iter().map(|child| child.id).collect();
        let forked = self.node.fork(parent, EPOCH, children).await.unwrap();
        assert!(forked.children.iter().all(Result::is_ok), "{forked:?}");
        ids
    }

    async fn create_of(&self, snapshot: SnapshotId) -> Result<SandboxId, NodeError> {
        let id = SandboxId::new();
        let spec = SandboxSpec {
            spares: Vec::new(),
            org: self.org,
            source: Source::Snapshot(snapshot),
            shape: SHAPE,
            deadline: None,
            persistent: false,
            idle_timeout: None,
            egress_deny: Vec::new(),
        };
        self.node.create(id, EPOCH, spec).await.map(|_| id)
    }

    /// What nobody uses is swept while everything goes on.
    async fn swept(&self) {
        while !self.names("staging").is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn children_go_on_from_their_parents_moment_and_apart() {
    let mut world = World::start().await;
    let parent = world.create(None, false).await;
    world.write(parent, "then");
    let children = world.fork(parent, 5).await;
    world.swept().await;
    assert_eq!(world.machines.runs(&world.name(parent)), Some(true));
    world.write(parent, "later");
    for (index, child) in children.iter().enumerate() {
        assert_eq!((world.memory(*child), world.disk(*child)), ("then".into(), "then".into()));
        world.write(*child, &format!("child {index}"));
    }
    assert_eq!(world.disk(parent), "later");
    world.node.delete(parent, EPOCH).await.unwrap();
    // A grandchild, of a child that slept and of one that was found again.
    world.node.hibernate(children[0], EPOCH).await.unwrap();
    let grandchild = world.fork(children[0], 1).await[0];
    assert_eq!(world.memory(grandchild), "child 0");
    assert_eq!(world.state(children[0]), Some(State::Hibernated));
    world = world.restart().await;
    let grandchild = world.fork(children[1], 1).await[0];
    assert_eq!(world.disk(grandchild), "child 1");
    world.node.wake(children[0], EPOCH).await.unwrap();
    assert_eq!(world.memory(children[0]), "child 0");
    world.finish().await;
}

#[tokio::test]
async fn a_child_that_cannot_be_made_leaves_nothing_and_its_parent_goes_on() {
    let world = World::start().await;
    let parent = world.create(None, false).await;
    world.machines.refuse_restores(true);
    let forked = world.node.fork(parent, EPOCH, vec![world.child()]).await.unwrap();
    assert!(matches!(forked.children[..], [Err(NodeError::NotMade(_))]), "{forked:?}");
    world.machines.refuse_saves(true);
    let refused = world.node.fork(parent, EPOCH, vec![world.child()]).await;
    assert!(matches!(refused, Err(NodeError::NoSpace(_))), "{refused:?}");
    world.swept().await;
    assert_eq!((world.machines.count(), world.folders()), (1, 1));
    assert_eq!(world.machines.runs(&world.name(parent)), Some(true));
    world.finish().await;
}

#[tokio::test]
async fn a_snapshot_holds_alone_what_its_sandbox_wrote_over_or_took_along() {
    const PART: u64 = 1 << 20;
    let world = World::start().await;
    let parent = world.create(None, false).await;
    let root = world.dir(parent).join("root.raw");
    let write = |byte: u8, at: u64| {
        let file = std::fs::File::options().write(true).open(&root).unwrap();
        file.write_all_at(&vec![byte; PART as usize], at).unwrap();
        file.sync_all().unwrap();
    };
    [0, PART, 2 * PART].into_iter().for_each(|at| write(1, at));
    let id = SnapshotId::new();
    world.node.snapshot(parent, EPOCH, id).await.unwrap();
    let held = || async { world.node.snapshots_held(vec![id, SnapshotId::new()]).await };
    let first = held().await[&id];
    // Its disk is its sandbox's, too.
    assert!(first.shared_bytes >= 3 * PART && first.own_bytes < PART, "{first:?}");

    write(2, PART);
    let then = held().await[&id];
    let own = then.own_bytes - first.own_bytes;
    assert!((PART..2 * PART).contains(&own), "{first:?} {then:?}");
    assert_eq!(own, first.shared_bytes - then.shared_bytes);

    world.node.delete(parent, EPOCH).await.unwrap();
    while held().await[&id].own_bytes < 3 * PART {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world.node.snapshot_delete(id).await.unwrap();
    assert!(held().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn a_snapshot_is_listed_used_and_goes_at_any_time() {
    let mut world = World::start().await;
    let parent = world.create(None, false).await;
    world.write(parent, "then");
    let id = SnapshotId::new();
    let taken = world.node.snapshot(parent, EPOCH, id).await.unwrap();
    world.write(parent, "later");
    assert_eq!((taken.id, taken.sandbox, taken.shape), (id, parent, SHAPE));
    assert_eq!(world.node.snapshot(parent, EPOCH, id).await.unwrap(), taken, "taken twice");
    world.node.pause(parent, EPOCH).await.unwrap();
    let of_paused = world.node.snapshot(parent, EPOCH, SnapshotId::new()).await.unwrap();
    assert_eq!(world.state(parent), Some(State::Paused));
    assert_eq!(world.machines.runs(&world.name(parent)), Some(false));
    world.node.snapshot_delete(of_paused.id).await.unwrap();

    world.node.delete(parent, EPOCH).await.unwrap();
    world = world.restart().await;
    assert_eq!(world.node.snapshots().await.unwrap(), [taken]);
    let child = world.create_of(id).await.unwrap();
    for _ in 0..2 {
        world.node.snapshot_delete(id).await.unwrap();
    }
    assert_eq!(world.node.snapshots().await.unwrap(), []);
    let refused = world.create_of(id).await;
    assert!(matches!(refused, Err(NodeError::NoSnapshot(_))), "{refused:?}");
    assert_eq!((world.memory(child), world.disk(child)), ("then".into(), "then".into()));
    world.node.hibernate(child, EPOCH).await.unwrap();
    world.node.wake(child, EPOCH).await.unwrap();
    assert_eq!(world.memory(child), "then");
    world.swept().await;
    world.finish().await;
}

#[tokio::test]
async fn what_a_parent_may_not_reach_its_children_may_not() {
    let world = World::start().await;
    let parent = SandboxId::new();
    let denied: Vec<_> = vec!["203.0.113.0/24".parse().unwrap()];
    let spec = SandboxSpec {
        spares: Vec::new(),
        org: world.org,
        source: Source::Template("base".into()),
        shape: SHAPE,
        deadline: None,
        persistent: false,
        idle_timeout: None,
        egress_deny: denied,
    };
    world.node.create(parent, EPOCH, spec).await.unwrap();
    let child = world.fork(parent, 1).await[0];
    let manifest = std::fs::read_to_string(world.dir(child).join("manifest.json")).unwrap();
    assert!(manifest.contains("203.0.113.0/24"), "{manifest}");
    world.finish().await;
}
