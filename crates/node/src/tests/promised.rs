//! The memory that all machines may come to take.

use pando_types::{Epoch, PublicError, SandboxId};
use pando_vm::driver::Shape;

use super::{SHAPE, World};
use crate::{NodeError, SandboxSpec, Source, State};

/// The largest, so that few are enough.
const LARGE: Shape = Shape { memory_mib: 16 * 1024, ..SHAPE };
/// More than any host that runs tests has memory to promise to.
const MOST: usize = 5000;

async fn create(world: &World) -> Result<SandboxId, NodeError> {
    let id = SandboxId::new();
    let spec = SandboxSpec {
        spares: Vec::new(),
        egress_deny: Vec::new(),
        org: world.org,
        source: Source::Template("base".into()),
        idle_timeout: None,
        shape: LARGE,
        deadline: None,
        persistent: true,
    };
    world.node.create(id, Epoch::first(), spec).await.map(|_| id)
}

/// Creates as long as it is let, and returns what was made.
async fn fill(world: &World) -> Vec<SandboxId> {
    let mut made = Vec::new();
    while made.len() < MOST {
        match create(world).await {
            Ok(id) => made.push(id),
            Err(refused) => {
                assert!(matches!(refused, NodeError::MemoryPromised), "{refused:?}");
                let public = PublicError::from(&refused);
                assert_eq!(public.code.status(), 503);
                assert!(public.retry_after_secs.is_some());
                return made;
            }
        }
    }
    panic!("{MOST} were made, and more could be");
}

#[tokio::test]
async fn a_host_promises_so_much_memory_and_no_more() {
    let mut world = World::start().await;
    let made = fill(&world).await;
    assert_eq!((world.machines.count(), world.folders()), (made.len(), made.len()));
    // What is deleted, or has no machine any more, takes none.
    world.node.delete(made[0], Epoch::first()).await.unwrap();
    assert_eq!(fill(&world).await.len(), 1);
    super::crash(&world, made[1]);
    world.reported(made[1], |state| matches!(state, State::Failed { .. })).await;
    assert_eq!(fill(&world).await.len(), 1);
    // What could not be made took none.
    world.node.delete(made[2], Epoch::first()).await.unwrap();
    world.machines.refuse_restores(true);
    assert!(matches!(create(&world).await, Err(NodeError::NotMade(_))));
    world.machines.refuse_restores(false);
    assert_eq!(fill(&world).await.len(), 1);
    // A later server finds all promised.
    let world = world.restart().await;
    assert_eq!(fill(&world).await, []);
    world.finish().await;
}

#[tokio::test]
async fn what_sleeps_is_promised_nothing_and_wakes_when_there_is_some_again() {
    let mut world = World::start().await;
    let asleep = fill(&world).await;
    for id in &asleep {
        world.write(*id, &id.to_string());
        world.node.hibernate(*id, Epoch::first()).await.unwrap();
    }
    // Another org has it all meanwhile.
    world.org = pando_types::OrgId::new();
    let awake = fill(&world).await;
    assert_eq!(awake.len(), asleep.len());
    let wakes = asleep.iter().map(|id| world.node.wake(*id, Epoch::first()));
    for refused in futures_util::future::join_all(wakes).await {
        let refused = PublicError::from(&refused.unwrap_err());
        assert_eq!(refused.code.status(), 503);
        assert!(refused.retry_after_secs.is_some());
    }
    for (gone, woken) in awake.iter().zip(&asleep) {
        world.node.delete(*gone, Epoch::first()).await.unwrap();
        world.node.wake(*woken, Epoch::first()).await.unwrap();
        assert_eq!(world.memory(*woken), woken.to_string());
        assert_eq!(world.disk(*woken), woken.to_string());
    }
    world.finish().await;
}
