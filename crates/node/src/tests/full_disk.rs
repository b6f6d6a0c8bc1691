//! The disk below the pool.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use pando_types::{Epoch, OrgId, PublicError, SandboxId};
use pando_vm::driver::null::Null;

use super::{SHAPE, node, open};
use crate::{Node, NodeError, SandboxSpec, Source};

/// A disk of its own without reflinks, gone however the test ends.
pub(super) struct Disk(tempfile::TempDir);

impl Disk {
    pub(super) fn new(size: &str) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(disk.path()).unwrap();
        disk.mount(&format!("size={size}"));
        disk
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("disk")
    }

    pub(super) fn mount(&self, options: &str) {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "pando-test"])
            .arg(self.path())
            .output()
            .unwrap();
        assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for mounted in [self.path().join("pool"), self.path()] {
            let _ = Command::new("umount").arg("-q").arg(mounted).output();
        }
    }
}

pub(super) async fn create(node: &Node) -> Result<(), NodeError> {
    let spec = SandboxSpec {
        spares: Vec::new(),
        egress_deny: Vec::new(),
        org: OrgId::new(),
        source: Source::Template("base".into()),
        idle_timeout: None,
        shape: SHAPE,
        deadline: None,
        persistent: false,
    };
    node.create(SandboxId::new(), Epoch::first(), spec).await.map(drop)
}

#[tokio::test]
async fn a_pool_is_as_full_as_the_disk_below_its_image() {
    let disk = Disk::new("16G");
    let (node, reports) = node(&disk.path(), Arc::new(Null::default())).await;
    create(&node).await.unwrap();
    let inside = pando_vm::sys::host::free_disk_bytes(&disk.path().join("pool")).unwrap();
    // Others fill it: what is free inside of the image stays as it was.
    disk.mount("remount,size=1G");
    let free = node.host().free_disk_bytes.unwrap();
    assert!(free < 1 << 30 && inside > 8 << 30, "{free} of {inside}");
    let refused = create(&node).await.unwrap_err();
    assert!(matches!(refused, NodeError::NoDisk), "{refused:?}");
    assert_eq!(PublicError::from(&refused).code.status(), 507);
    disk.mount("remount,size=16G");
    create(&node).await.unwrap();
    node.tear_down().await.unwrap();
    drop((node, reports));
    open(&disk.path()).await.unmount_pool().await.unwrap();
}
