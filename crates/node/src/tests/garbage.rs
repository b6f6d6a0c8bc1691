//! What goes when the disk is short, and what stays.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pando_types::{OrgId, VolumeId};
use pando_vm::driver::Shape;
use pando_vm::driver::null::Null;

use super::full_disk::{Disk, create};
use super::{SHAPE, names, node, open};
use crate::NodeError;

const MIB: u64 = 1 << 20;
const RESERVE_MIB: u64 = 2048;

/// What a build left for the next, so many hours ago.
fn layers(pool: &Path, hours: u64) -> PathBuf {
    let path = pool.join("layers").join(format!("{}-1.raw", OrgId::new()));
    fs::write(&path, vec![1; 48 * MIB as usize]).unwrap();
    let file = File::open(&path).unwrap();
    file.sync_all().unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
    path
}

impl Disk {
    /// Others take all of it but so much.
    fn leave(&self, free_mib: u64) {
        let stat = rustix::fs::statvfs(self.path()).unwrap();
        let used_bytes = (stat.f_blocks - stat.f_bfree) * stat.f_frsize;
        self.mount(&format!("remount,size={}", used_bytes + free_mib * MIB));
    }
}

#[tokio::test]
async fn a_shortage_takes_the_oldest_that_nobody_uses_and_the_create_goes_on() {
    let disk = Disk::new("16G");
    let (node, reports) = node(&disk.path(), Arc::new(Null::default())).await;
    let pool = disk.path().join("pool");
    create(&node).await.unwrap();
    let (held, oldest, newer) = (layers(&pool, 9), layers(&pool, 5), layers(&pool, 3));
    let build = pool.join("staging/a-build");
    fs::hard_link(&held, &build).unwrap();

    disk.leave(RESERVE_MIB - 24);
    create(&node).await.unwrap();
    assert!(held.exists() && !oldest.exists() && newer.exists());

    // What may be filled must be free: it goes for that, too, if that is enough.
    disk.leave(RESERVE_MIB + 64);
    let refused = node.volume_make(VolumeId::new(), 4096).await.unwrap_err();
    assert!(matches!(refused, NodeError::NoHeadroom), "{refused:?}");
    assert!(newer.exists(), "for nothing");
    node.volume_make(VolumeId::new(), 96).await.unwrap();
    assert!(held.exists() && !newer.exists());

    node.tear_down().await.unwrap();
    drop((node, reports));
    open(&disk.path()).await.unmount_pool().await.unwrap();
}

#[tokio::test]
async fn all_that_is_unused_goes_before_a_create_is_refused() {
    let disk = Disk::new("16G");
    let (node, reports) = node(&disk.path(), Arc::new(Null::default())).await;
    let pool = disk.path().join("pool");
    create(&node).await.unwrap();
    let larger = |times| Shape { memory_mib: times * SHAPE.memory_mib, ..SHAPE };
    node.keep_ready("base", larger(2)).await.unwrap();
    // Used just now, and so as good as in use.
    node.bake("base", larger(4)).await.unwrap();
    let stay = names(&pool.join("machines"));
    let unused = pool.join("machines").join("0".repeat(32));
    fs::create_dir(&unused).unwrap();
    fs::write(unused.join("memory"), vec![1; MIB as usize]).unwrap();
    let hour = Duration::from_secs(3600);
    let long_ago = |path: &Path| {
        File::open(path).unwrap().set_modified(SystemTime::now() - hour).unwrap();
    };
    long_ago(&unused);
    let old = pool.join("templates/base/of-old");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("rootfs.ext4"), vec![1; MIB as usize]).unwrap();
    fs::create_dir(pool.join("kernels/of-old")).unwrap();
    fs::write(pool.join("kernels/of-old/vmlinuz"), vec![1; MIB as usize]).unwrap();
    [&old, &pool.join("kernels/of-old")].into_iter().for_each(|path| long_ago(path));
    let layers = layers(&pool, 3);

    disk.leave(RESERVE_MIB / 2);
    for _ in 0..2 {
        let refused = create(&node).await.unwrap_err();
        assert!(matches!(refused, NodeError::NoDisk), "{refused:?}");
    }
    assert_eq!(names(&pool.join("machines")), stay);
    assert_eq!(names(&pool.join("templates/base")).len(), 1);
    assert!(!old.exists() && !layers.exists());
    assert_eq!(names(&pool.join("kernels")), [""; 0]);
    assert_eq!(names(&pool.join("staging")), [""; 0]);

    disk.leave(2 * RESERVE_MIB);
    create(&node).await.unwrap();
    node.tear_down().await.unwrap();
    drop((node, reports));
    open(&disk.path()).await.unmount_pool().await.unwrap();
}

#[tokio::test]
async fn a_start_on_a_scarce_disk_takes_what_was_long_unused() {
    let disk = Disk::new("16G");
    let (first, reports) = node(&disk.path(), Arc::new(Null::default())).await;
    let pool = disk.path().join("pool");
    let (old, recent) = (layers(&pool, 3), layers(&pool, 0));
    first.stop().await;
    drop((first, reports));
    disk.leave(RESERVE_MIB + 512);

    let (next, reports) = node(&disk.path(), Arc::new(Null::default())).await;
    while old.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    next.stop().await;
    assert!(recent.exists());
    drop((next, reports));
    open(&disk.path()).await.unmount_pool().await.unwrap();
}
