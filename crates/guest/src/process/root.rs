//! A folder that a command takes for `/`, as what runs in an image does.
//!
//! Names in it mean what they mean to its own programs: a link to `/etc/alternatives/x` leads
//! to that folder's. So it is looked into from within, by a thread that has it for its root.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::{chdir, chroot};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::spawn::SpawnError;

/// The folder.
pub(super) struct Root(PathBuf);

/// What a child does on its way in: prepared before, so that it only makes system calls.
pub(super) struct Entrance {
    root: CString,
    directory: CString,
}

impl Root {
    /// Takes an absolute path of a folder.
    pub(super) fn find(path: &str) -> Result<Self, SpawnError> {
        let root = Path::new(path);
        match root.is_absolute() && root.is_dir() {
            true => Ok(Self(root.to_owned())),
            false => Err(SpawnError::NoRoot(path.to_owned())),
        }
    }

    /// Does what looks for files as if the folder were `/`, and returns what came of it.
    ///
    /// # Errors
    /// When the kernel does not let a thread in.
    pub(super) fn look<T: Send>(&self, look: impl FnOnce() -> T + Send) -> io::Result<T> {
        let within = || {
            // SAFETY: it takes apart what this thread, which ends here, and the others share of
            // root and working directory; no descriptor and no memory is concerned.
            unsafe { unshare_unsafe(UnshareFlags::FS)? };
            chroot(&self.0)?;
            chdir(c"/")?;
            Ok(look())
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, within)?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the look into it panicked")))
        })
    }

    /// The way in, to `directory` of it.
    pub(super) fn entrance(self, directory: &Path) -> io::Result<Entrance> {
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
        Ok(Entrance { root: text(&self.0)?, directory: text(directory)? })
    }
}

impl Entrance {
    /// Makes it the root of the caller's process.
    pub(super) fn enter(&self) -> io::Result<()> {
        chroot(self.root.as_c_str())?;
        Ok(chdir(self.directory.as_c_str())?)
    }
}
