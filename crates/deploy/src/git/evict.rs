//! Mirrors as what goes when the disk is short: the next deployment fetches anew.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pando_node::garbage::{Cache, Thing};

use super::mirror::{MIRROR, Mirrors, bury};

const BLOCK_BYTES: u64 = 512;

impl Cache for Mirrors {
    fn kind(&self) -> &'static str {
        "mirror"
    }

    fn things(&self) -> io::Result<Vec<Thing>> {
        let mut things = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            if let Some(name) = name_of(&path) {
                things.push(Thing {
                    bytes: taken_bytes(&path)?,
                    last_use: fs::metadata(&path)?.modified()?,
                    is_used: self.lock(name).try_write().is_err(),
                    name: name.to_owned(),
                });
            }
        }
        Ok(things)
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        let lock = self.lock(name);
        // Whoever fetches into it or reads it holds it.
        let Ok(_turn) = lock.try_write() else { return Ok(false) };
        bury(&self.root.join(name))
    }
}

impl Mirrors {
    /// Removes the least recently used mirrors beyond so many, but for those in use.
    pub(super) fn keep_at_most(&self, most: usize) -> io::Result<()> {
        let mut mirrors = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let path = entry.path();
            if let Some(name) = name_of(&path) {
                mirrors.push((entry.metadata()?.modified()?, name.to_owned()));
            }
        }
        mirrors.sort();
        let mut too_many = mirrors.len().saturating_sub(most);
        let mut oldest = mirrors.into_iter();
        while let (1.., Some((_, name))) = (too_many, oldest.next()) {
            too_many -= usize::from(Cache::remove(self, &name)?);
        }
        Ok(())
    }
}

fn name_of(path: &Path) -> Option<&str> {
    let is_mirror = path.extension().is_some_and(|extension| extension == MIRROR);
    path.file_name()?.to_str().filter(|_| is_mirror)
}

/// What a folder and all in it take of the disk.
fn taken_bytes(path: &Path) -> io::Result<u64> {
    let metadata = match fs::symlink_metadata(path) {
        // git removes its temporary files.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        metadata => metadata?,
    };
    let mut bytes = metadata.blocks() * BLOCK_BYTES;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += taken_bytes(&entry?.path())?;
        }
    }
    Ok(bytes)
}
