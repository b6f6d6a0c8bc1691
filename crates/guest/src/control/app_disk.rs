//! Laying an app's disk over the template: what is installed and built for the app goes to
//! that disk, and with it from the machine that builds to the one that runs.
//!
//! ```text
//! <disk>/app             is /app
//! <disk>/over/usr/upper  lies over /usr (overlayfs; `work` beside it is the kernel's)
//! ```
//!
//! In place: whatever starts from now on sees both as one, and need not know of it. What runs
//! already goes on with the files that it has open.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use pando_guest_protocol::control::{APP_FOLDER, APP_OVERLAYS};
use rustix::mount::{MountFlags, mount, mount_bind};

use super::mount::MountError;

/// Lays the disk that is mounted at `disk` over the folders below `root` (`/` but in tests).
///
/// # Errors
/// [`MountError::NotLaid`]; what was laid before stays.
pub fn lay(disk: &Path, root: &Path) -> Result<(), MountError> {
    bind(&disk.join("app"), &below(root, APP_FOLDER))
        .map_err(|source| MountError::NotLaid { path: APP_FOLDER, source })?;
    for path in APP_OVERLAYS {
        overlay(&below(&disk.join("over"), path), &below(root, path))
            .map_err(|source| MountError::NotLaid { path, source })?;
    }
    Ok(())
}

fn bind(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(from)?;
    fs::create_dir_all(to)?;
    Ok(mount_bind(from, to)?)
}

fn overlay(layer: &Path, lower: &Path) -> io::Result<()> {
    fs::create_dir_all(lower)?;
    let (upper, work) = (layer.join("upper"), layer.join("work"));
    if !upper.exists() {
        fs::create_dir_all(&upper)?;
        // What lies on top is what is seen, its owner and mode too.
        let below = fs::metadata(lower)?;
        chown(&upper, Some(below.uid()), Some(below.gid()))?;
        fs::set_permissions(&upper, Permissions::from_mode(below.mode() & 0o7777))?;
    }
    fs::create_dir_all(&work)?;
    let (lower_text, upper, work) = (lower.display(), upper.display(), work.display());
    // None of the paths holds a character that means something here: they are constants below
    // a plain path.
    let options = format!("lowerdir={lower_text},upperdir={upper},workdir={work}");
    let options = std::ffi::CString::new(options).map_err(io::Error::other)?;
    Ok(mount("overlay", lower, "overlay", MountFlags::NOATIME, Some(options.as_c_str()))?)
}

fn below(root: &Path, absolute: &str) -> std::path::PathBuf {
    root.join(absolute.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::control::Layout;

    #[test]
    fn each_folder_is_a_mount_of_its_own() {
        // The disk itself, the sources, and what lies over the template.
        assert_eq!(Layout::App.mounts(), 2 + APP_OVERLAYS.len());
        for path in APP_OVERLAYS.iter().chain([&APP_FOLDER]) {
            assert!(path.starts_with('/') && path[1..].bytes().all(|b| b.is_ascii_lowercase()));
        }
        assert_eq!(below(Path::new("/run/x/over"), "/usr"), Path::new("/run/x/over/usr"));
    }
}
