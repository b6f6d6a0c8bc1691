//! The switch from the initramfs to the disk.

use std::fs;
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_move};
use rustix::process::{chdir, chroot};

use super::{BootError, Step, devices, modules, wait_for};

const DISK: &str = "/dev/vda";
const NEW_ROOT: &str = "/newroot";

/// Makes the disk the root. This process goes on; nothing is executed anew.
pub fn switch() -> Result<(), BootError> {
    wait_for(Path::new(DISK)).step("wait for the root disk")?;
    fs::create_dir_all(NEW_ROOT).step(format!("make {NEW_ROOT}"))?;
    // Reading must not write: access times would cost a copied block each, in every clone.
    mount(DISK, NEW_ROOT, "ext4", MountFlags::NOATIME, None).step(format!("mount {DISK}"))?;
    for (_, from) in devices::FILE_SYSTEMS {
        let to = format!("{NEW_ROOT}{from}");
        fs::create_dir_all(&to).step(format!("make {to}"))?;
        mount_move(from, &to).step(format!("move {from}"))?;
    }
    modules::discard();
    chdir(NEW_ROOT).step("enter the new root")?;
    mount_move(".", "/").step("move the new root")?;
    chroot(".").step("change the root")?;
    chdir("/").step("enter the root")
}
