//! The names in a sandbox's folder, and what each of them means.
//!
//! ```text
//! manifest.json     the truth
//! manifest.next     what is to be the truth when its wake has succeeded
//! root.raw          the disk of its machine
//! spare-N.raw       what stands in its spare disks; of a volume that it holds, another name of that
//! memory, memory-N  what its machine's memory began as (names of a template's or an image's files)
//! saving/           an image that is being made. While it is there, its guest may be frozen
//! asleep/           the whole image that it sleeps in: there is no machine, or it may not run again
//! asleep.consumed/  the same while a machine is made of it: nobody was told that it is awake
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pando_vm::driver::SPARE_DISKS;
use pando_vm::memory::MemoryFiles;
use pando_vm::sys::durable;

use crate::image::{Image, spare_name};

/// The paths of one sandbox.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub dir: PathBuf,
}

impl Files {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.join("root.raw")
    }

    pub(crate) fn spare(&self, index: usize) -> PathBuf {
        self.dir.join(spare_name(index))
    }

    pub(crate) fn memory(&self) -> io::Result<MemoryFiles> {
        MemoryFiles::find(&self.dir)
    }

    pub(crate) fn saving(&self) -> PathBuf {
        self.dir.join("saving")
    }

    pub(crate) fn asleep(&self) -> PathBuf {
        self.dir.join("asleep")
    }

    pub(crate) fn consumed(&self) -> PathBuf {
        self.dir.join("asleep.consumed")
    }

    /// Removes what only a machine needs.
    pub(crate) fn remove_machine(&self) -> io::Result<()> {
        let spares = (0..SPARE_DISKS).map(|index| self.spare(index));
        for path in [self.root()].into_iter().chain(MemoryFiles::names(&self.dir)).chain(spares) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Puts an image that nothing came of back to sleep.
    pub(crate) fn put_back(&self) -> io::Result<()> {
        match fs::rename(self.consumed(), self.asleep()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => durable::sync_parent(&self.asleep()),
        }
    }

    /// Moves the image that was used up to `grave`, durably: nothing finds it any more.
    /// When that fails, it is where it was.
    pub(crate) fn bury_consumed(&self, grave: &Path) -> io::Result<()> {
        let consumed = self.consumed();
        fs::rename(&consumed, grave)?;
        match durable::sync_parent(&consumed) {
            // Where even that fails, it is gone, if not after a power cut.
            Err(error) if fs::rename(grave, &consumed).is_ok() => Err(error),
            _ => Ok(()),
        }
    }

    /// The whole image that the sandbox may sleep in, whatever its name is now.
    pub(crate) fn image(&self) -> io::Result<Option<Image>> {
        match Image::find(&self.asleep())? {
            None => Image::find(&self.consumed()),
            found => Ok(found),
        }
    }
}
