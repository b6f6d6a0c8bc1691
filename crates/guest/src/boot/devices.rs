//! The kernel's own file systems, in the initramfs.

use std::fs;

use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::{BootError, Step};

/// Each with where it goes; they move into the new root with it.
pub const FILE_SYSTEMS: [(&str, &str); 3] =
    [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")];

/// Mounts them.
pub fn mount() -> Result<(), BootError> {
    for (kind, target) in FILE_SYSTEMS {
        fs::create_dir_all(target).step(format!("make {target}"))?;
        match rustix::mount::mount(kind, target, kind, MountFlags::NOSUID, None) {
            // It was mounted already.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(error) => return Err(error).step(format!("mount {target}")),
        }
    }
    Ok(())
}
