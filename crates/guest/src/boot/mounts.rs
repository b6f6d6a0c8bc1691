//! What is mounted in the root, and the links that programs expect in `/dev`.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::{BootError, Step};

struct Mount {
    kind: &'static str,
    target: &'static str,
    options: &'static std::ffi::CStr,
}

const MOUNTS: [Mount; 3] = [
    Mount { kind: "tmpfs", target: "/run", options: c"mode=755" },
    Mount { kind: "devpts", target: "/dev/pts", options: c"gid=5,mode=620,ptmxmode=666" },
    Mount { kind: "tmpfs", target: "/dev/shm", options: c"mode=1777" },
];

const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Folders that anyone may write to.
const SHARED_FOLDERS: [&str; 2] = ["/tmp", "/run/lock"];

/// Mounts, links, and opens the shared folders.
pub fn mount() -> Result<(), BootError> {
    for entry in MOUNTS {
        mount_one(&entry).step(format!("mount {}", entry.target))?;
    }
    for (original, link) in LINKS {
        match symlink(original, link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).step(format!("link {link}"));
            }
            _ => {}
        }
    }
    for folder in SHARED_FOLDERS {
        fs::create_dir_all(folder)
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o1777)))
            .step(format!("open {folder}"))?;
    }
    Ok(())
}

fn mount_one(entry: &Mount) -> io::Result<()> {
    // Where a file system is mounted on another one of the kernel's, the folder cannot be made and must be there.
    if !fs::exists(entry.target)? {
        fs::create_dir_all(entry.target)?;
    }
    // Devices are needed in /dev/pts, so nothing here says NODEV.
    match rustix::mount::mount(
        entry.kind,
        entry.target,
        entry.kind,
        MountFlags::NOSUID,
        entry.options,
    ) {
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
