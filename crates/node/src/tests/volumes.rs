//! What stands in spare disks: volumes held and copied, and where they are after each
//! thing that becomes of their sandbox.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use pando_types::sandbox::CreateSandbox;
use pando_types::volume::{AttachVolume, CreateVolume};
use pando_types::{Code, Epoch, OrgId, SandboxId, SnapshotId, VolumeId};

use super::{World, schedules};
use crate::{Disk, NodeError, SandboxSpec, Source, Spare, State};

const EPOCH: Epoch = Epoch::first();

/// A volume as a sandbox is given it.
pub(super) fn spare(volume: VolumeId, read_only: bool) -> Spare {
    let disk = Disk::Volume { volume, name: "data".into(), read_only };
    Spare::mounted(disk, "/volumes/data".into())
}

/// Where the file of a volume is.
pub(super) fn file(folder: &Path, volume: VolumeId) -> PathBuf {
    folder.join("pool/volumes").join(format!("{volume}.raw"))
}

impl World {
    fn volume(&self, text: &str) -> VolumeId {
        let volume = VolumeId::new();
        fs::write(file(self.folder.path(), volume), text).unwrap();
        volume
    }

    pub(super) fn volume_text(&self, volume: VolumeId) -> String {
        fs::read_to_string(file(self.folder.path(), volume)).unwrap()
    }

    async fn create_with(&self, spares: Vec<Spare>) -> SandboxId {
        let id = SandboxId::new();
        self.try_create_with(id, None, false, spares).await.unwrap();
        id
    }

    fn spare_path(&self, id: SandboxId, index: usize) -> PathBuf {
        self.dir(id).join(format!("spare-{index}.raw"))
    }

    pub(super) fn spare_text(&self, id: SandboxId, index: usize) -> String {
        fs::read_to_string(self.spare_path(id, index)).unwrap()
    }

    /// Writes to a spare disk, as its guest would.
    pub(super) fn write_spare(&self, id: SandboxId, index: usize, text: &str) {
        fs::write(self.spare_path(id, index), text).unwrap();
    }

    /// Whether a spare disk is the volume itself.
    pub(super) fn is_volume(&self, id: SandboxId, index: usize, volume: VolumeId) -> bool {
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        inode(&self.spare_path(id, index)) == inode(&file(self.folder.path(), volume))
    }
}

#[tokio::test]
async fn what_is_written_to_a_volume_outlives_its_sandbox() {
    let world = World::start().await;
    let volume = world.volume("empty");
    let id = world.create_with(vec![spare(volume, false)]).await;
    assert!(world.is_volume(id, 0, volume));
    world.write_spare(id, 0, "one");
    world.node.delete(id, EPOCH).await.unwrap();
    assert_eq!(world.volume_text(volume), "one");
    let next = world.create_with(vec![spare(volume, false)]).await;
    assert_eq!(world.spare_text(next, 0), "one");
    world.finish().await;
}

#[tokio::test]
async fn a_volume_to_read_is_a_copy_of_the_moment() {
    let world = World::start().await;
    let volume = world.volume("one");
    let holder = world.create_with(vec![spare(volume, false)]).await;
    let reader = world.create_with(vec![spare(volume, true)]).await;
    world.write_spare(holder, 0, "two");
    world.write_spare(reader, 0, "by force");
    assert_eq!(
        (world.spare_text(reader, 0), world.volume_text(volume)),
        ("by force".into(), "two".into())
    );
    // It has the same copy again when it wakes.
    world.node.hibernate(reader, EPOCH).await.unwrap();
    world.node.wake(reader, EPOCH).await.unwrap();
    assert_eq!(
        (world.spare_text(reader, 0), world.volume_text(volume)),
        ("by force".into(), "two".into())
    );
    world.finish().await;
}

#[tokio::test]
async fn a_sleeper_keeps_its_volume_and_wakes_on_it() {
    let mut world = World::start().await;
    let volume = world.volume("empty");
    let id = world.create_with(vec![spare(volume, false)]).await;
    for round in 0..3 {
        let text = format!("round {round}");
        world.write_spare(id, 0, &text);
        world.node.hibernate(id, EPOCH).await.unwrap();
        assert_eq!(super::names(&world.dir(id)), ["asleep", "manifest.json"]);
        assert_eq!(world.volume_text(volume), text);
        if round == 1 {
            world = world.restart().await;
        }
        world.node.wake(id, EPOCH).await.unwrap();
        assert_eq!(world.spare_text(id, 0), text);
        assert!(world.is_volume(id, 0, volume));
    }
    world.node.delete(id, EPOCH).await.unwrap();
    assert_eq!(world.volume_text(volume), "round 2");
    world.finish().await;
}

#[tokio::test]
async fn a_volume_is_never_ahead_of_the_memory_that_wakes_on_it() {
    let world = World::start().await;
    let volume = world.volume("empty");
    let id = world.create_with(vec![spare(volume, false)]).await;
    world.write_spare(id, 0, "one");
    world.node.hibernate(id, EPOCH).await.unwrap();
    // A machine that came up and wrote, of which nobody was told.
    world.machines.write_when_restored("ahead");
    world.machines.refuse_mounts(true);
    let woken = world.node.wake(id, EPOCH).await;
    // A wake mounts nothing, so that is no reason to refuse it.
    woken.unwrap();
    assert_eq!(world.volume_text(volume), "ahead");
    world.write_spare(id, 0, "two");
    world.node.hibernate(id, EPOCH).await.unwrap();
    world.machines.fail_when_restored(true);
    let refused = world.node.wake(id, EPOCH).await;
    assert!(matches!(refused, Err(NodeError::NotWoken(_))), "{refused:?}");
    assert_eq!(world.volume_text(volume), "two", "it went back with its image");
    world.machines.fail_when_restored(false);
    world.finish().await;
}

#[tokio::test]
async fn a_copy_of_a_sandbox_has_a_copy_of_its_volumes() {
    let world = World::start().await;
    let volume = world.volume("one");
    let blank = Spare::unmounted(Disk::Blank);
    let parent = world.create_with(vec![spare(volume, false), blank]).await;
    assert_eq!(fs::metadata(world.spare_path(parent, 1)).unwrap().len(), 64 << 30);
    let child = world.fork(parent, 1).await[0];
    let snapshot = SnapshotId::new();
    world.node.snapshot(parent, EPOCH, snapshot).await.unwrap();
    world.write_spare(parent, 0, "two");
    world.write_spare(child, 0, "the child's");
    let grandchild = world.fork(child, 1).await[0];
    let of_snapshot = |id, spares| {
        let spec = SandboxSpec {
            spares,
            egress_deny: Vec::new(),
            org: OrgId::new(),
            source: Source::Snapshot(snapshot),
            shape: super::SHAPE,
            deadline: None,
            persistent: false,
            idle_timeout: None,
        };
        world.node.create(id, EPOCH, spec)
    };
    let restored = SandboxId::new();
    of_snapshot(restored, vec![spare(volume, true)]).await.unwrap();
    for (id, index, text) in [
        (parent, 0, "two"),
        (child, 0, "the child's"),
        (grandchild, 0, "the child's"),
        (restored, 0, "one"),
        // Beside what came with the snapshot.
        (restored, 2, "two"),
    ] {
        assert_eq!(world.spare_text(id, index), text);
    }
    assert!(!world.is_volume(child, 0, volume) && world.is_volume(parent, 0, volume));
    let crowded = of_snapshot(SandboxId::new(), vec![spare(volume, true), spare(volume, true)]);
    assert!(matches!(crowded.await, Err(NodeError::NoSpare)));
    // A copy that sleeps is still a copy.
    world.node.hibernate(child, EPOCH).await.unwrap();
    world.node.wake(child, EPOCH).await.unwrap();
    assert_eq!(world.spare_text(child, 0), "the child's");
    assert_eq!(world.volume_text(volume), "two");
    for id in [parent, child, grandchild, restored] {
        world.node.delete(id, EPOCH).await.unwrap();
    }
    assert_eq!(world.volume_text(volume), "two");
    world.node.snapshot_delete(snapshot).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn without_its_volume_or_its_mount_nothing_is_made() {
    let world = World::start().await;
    let missing = vec![spare(VolumeId::new(), false)];
    let refused = world.try_create_with(SandboxId::new(), None, true, missing).await;
    assert!(matches!(refused, Err(NodeError::NotMade(_))), "{refused:?}");
    let volume = world.volume("one");
    world.machines.refuse_mounts(true);
    let unmounted = vec![spare(volume, false)];
    let refused = world.try_create_with(SandboxId::new(), None, true, unmounted).await;
    assert!(
        matches!(&refused, Err(NodeError::NotMade(why)) if why.contains("disks")),
        "{refused:?}"
    );
    assert_eq!((world.machines.count(), world.folders()), (0, 0));
    assert_eq!(world.volume_text(volume), "one");
    world.finish().await;
}

#[tokio::test]
async fn a_volume_is_written_to_before_its_machine_ends() {
    let world = World::start().await;
    let volume = world.volume("one");
    let id = world.create_with(vec![spare(volume, false)]).await;
    world.node.pause(id, EPOCH).await.unwrap();
    assert_eq!(world.state(id), Some(State::Paused));
    world.node.delete(id, EPOCH).await.unwrap();
    assert_eq!(world.machines.frozen_ends(), 1);
    let other = world.create(None, false).await;
    world.node.delete(other, EPOCH).await.unwrap();
    assert_eq!(world.machines.frozen_ends(), 1, "without a volume nothing is waited for");
    world.finish().await;
}

#[test]
fn a_volume_that_goes_while_it_is_to_be_read_is_told_so() {
    schedules::World::run(async |world| {
        let request = CreateVolume { name: "data".into(), size_mb: 16 };
        let volume = VolumeId::new();
        world.sandboxes().volume_create(volume, world.org, request).await.unwrap();
        // Before its row, and no create has its turn until that is gone: it comes too late.
        fs::remove_file(file(world.folder.path(), volume)).unwrap();
        let wanted = vec![AttachVolume { name: "data".into(), read_only: true }];
        let request = CreateSandbox { volumes: Some(wanted), ..CreateSandbox::default() };
        let turns = &world.node().turns;
        let mut held = Vec::new();
        while let Some(Ok(turn)) = turns.take(world.org).now_or_never() {
            held.push(turn);
        }
        let create = world.sandboxes().create(world.org, None, request);
        let delete = async {
            let none = Default::default();
            while world.store.sandbox_list(world.org, &none, None, 1).await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            let deleted = world.sandboxes().volume_delete(world.org, "data").await;
            drop(held);
            deleted
        };
        let (made, deleted) = tokio::join!(create, delete);
        deleted.unwrap();
        let refused = made.unwrap_err();
        assert_eq!((refused.code, refused.field.as_deref()), (Code::Conflict, Some("volumes")));
    });
}
