//! Machines of many sizes.

use std::collections::BTreeSet;

use pando_types::Epoch;
use pando_vm::driver::Shape;

use super::{SHAPE, World};

fn machines(world: &World) -> BTreeSet<String> {
    let entries = std::fs::read_dir(world.folder.path().join("pool/machines")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn bake(world: &World, steps: std::ops::Range<u32>) {
    for step in steps {
        let memory_mib = SHAPE.memory_mib + 256 * step;
        world.node.bake("base", Shape { memory_mib, ..SHAPE }).await.unwrap();
    }
}

#[tokio::test]
async fn sizes_that_no_sandbox_needs_go_and_come_again() {
    let mut world = World::start().await;
    let id = world.create(None, false).await;
    let needed = machines(&world);
    bake(&world, 1..20).await;
    let kept = machines(&world);
    assert!(kept.len() < 20, "{}", kept.len());
    assert!(needed.is_subset(&kept), "the machine of a sandbox is gone");
    // A later server keeps to it, too, with the sandbox that it found.
    world = world.restart().await;
    bake(&world, 1..3).await;
    let after = machines(&world);
    assert_eq!(after.len(), kept.len());
    assert!(needed.is_subset(&after), "the machine of a sandbox is gone");
    world.node.delete(id, Epoch::first()).await.unwrap();
    bake(&world, 20..40).await;
    assert!(needed.is_disjoint(&machines(&world)), "it was used least recently");
    // What went is made again.
    let again = world.create(None, false).await;
    assert!(needed.is_subset(&machines(&world)));
    world.node.delete(again, Epoch::first()).await.unwrap();
    world.finish().await;
}
