//! Mounting the spare disks that a machine comes with.
//!
//! A spare was baked in empty and never read, so the kernel holds nothing of it that
//! the file which stands there now could differ from: its page cache went when the
//! kernel had looked for partitions. The kernel takes it for as large as it was then,
//! which its file system is not.
//!
//! What is on it another guest may have written. Whatever that does to this kernel, it
//! does to this machine: the host never mounts it.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use pando_guest_protocol::control::{Layout, Mount, spare_serial};
use rustix::mount::{MountFlags, mount};

use super::app_disk;

const BLOCK_DEVICES: &str = "/sys/block";
/// A file system that turns out broken is not written to any more.
const OPTIONS: &CStr = c"errors=remount-ro";

/// Why a disk is not mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The host names no place for it that could be one.
    #[error("`{path}` is no place for a disk: it must be absolute and plain")]
    Path {
        /// What it named.
        path: String,
    },
    /// The machine has no such disk.
    #[error("this machine has no spare disk {spare}")]
    NoDisk {
        /// Which one.
        spare: usize,
    },
    /// The kernel refused.
    #[error("spare disk {spare} was not mounted at {path}: {source}")]
    Refused {
        /// Which one.
        spare: usize,
        /// Where.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused a part of an app's disk.
    #[error("the app's disk was not laid over {path}: {source}")]
    NotLaid {
        /// Which folder of the template.
        path: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Mounts all of them, in order; returns how many mounts that took.
///
/// # Errors
/// [`MountError`] of the first that failed. Those before it stay: the machine is of no use.
pub fn mount_all(mounts: &[Mount]) -> Result<usize, MountError> {
    for wanted in mounts {
        mount_one(wanted)?;
        if wanted.layout == Layout::App {
            app_disk::lay(Path::new(&wanted.path), Path::new("/"))?;
        }
    }
    Ok(mounts.iter().map(|wanted| wanted.layout.mounts()).sum())
}

fn mount_one(wanted: &Mount) -> Result<(), MountError> {
    let Mount { spare, path, read_only, .. } = wanted;
    if !is_plain(Path::new(path)) {
        return Err(MountError::Path { path: path.clone() });
    }
    let device =
        device_of(Path::new(BLOCK_DEVICES), *spare).ok_or(MountError::NoDisk { spare: *spare })?;
    let mut flags = MountFlags::NOATIME | MountFlags::NODEV | MountFlags::NOSUID;
    if *read_only {
        flags |= MountFlags::RDONLY;
    }
    let refused = |source| MountError::Refused { spare: *spare, path: path.clone(), source };
    fs::create_dir_all(path).map_err(refused)?;
    mount(&device, path.as_str(), "ext4", flags, Some(OPTIONS))
        .map_err(|error| refused(error.into()))
}

/// Absolute, below the root, and the same however it is read.
fn is_plain(path: &Path) -> bool {
    let mut parts = path.components();
    parts.next() == Some(Component::RootDir)
        && parts.clone().next().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !path.as_os_str().as_encoded_bytes().contains(&0)
}

/// The device of a spare disk. Their letters follow the order in which they were found.
fn device_of(devices: &Path, spare: usize) -> Option<PathBuf> {
    let serial = spare_serial(spare);
    fs::read_dir(devices).ok()?.flatten().find_map(|device| {
        let found = fs::read_to_string(device.path().join("serial")).ok()?;
        (found.trim_end_matches(['\n', '\0']) == serial)
            .then(|| Path::new("/dev").join(device.file_name()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_goes_to_a_plain_path_alone() {
        for path in ["/volumes/a", "/srv"] {
            assert!(is_plain(Path::new(path)), "{path}");
        }
        for path in ["", "/", "volumes/a", "/volumes/../etc", "./a", "/a\0b"] {
            let layout = Layout::Plain;
            let wanted = Mount { spare: 0, path: path.into(), read_only: false, layout };
            assert!(matches!(mount_one(&wanted), Err(MountError::Path { .. })), "{path}");
        }
    }

    #[test]
    fn a_disk_is_found_by_its_serial() {
        let folder = tempfile::tempdir().unwrap();
        for (name, serial) in
            [("vda", "pando-root"), ("vdc", "pando-spare0"), ("vdb", "pando-spare1")]
        {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("serial"), serial).unwrap();
        }
        fs::create_dir(folder.path().join("loop0")).unwrap();
        assert_eq!(device_of(folder.path(), 0), Some("/dev/vdc".into()));
        assert_eq!(device_of(folder.path(), 1), Some("/dev/vdb".into()));
        assert_eq!(device_of(folder.path(), 2), None);
    }
}
