//! Mirrors as what goes when the disk is short: the next deployment fetches anew. Those
//! with a commit that an app needs stay: its forge may not have it any more.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pando_node::garbage::{Cache, Thing};
use tokio::runtime::Handle;

use super::keep::Kept;
use super::mirror::{MIRROR, Mirrors, bury};

const BLOCK_BYTES: u64 = 512;

/// Asked where blocking is fine, off the threads that run tasks.
impl Cache for Mirrors {
    fn kind(&self) -> &'static str {
        "mirror"
    }

    fn things(&self) -> io::Result<Vec<Thing>> {
        let kept = Handle::current().block_on(self.kept()).map_err(io::Error::other)?;
        let mut things = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            if let Some(name) = name_of(&path) {
                things.push(Thing {
                    bytes: taken_bytes(&path)?,
                    last_use: fs::metadata(&path)?.modified()?,
                    is_used: kept.contains_key(name) || self.lock(name).uses.try_write().is_err(),
                    name: name.to_owned(),
                });
            }
        }
        Ok(things)
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        // Again: an app may have gone live meanwhile.
        let kept = Handle::current().block_on(self.kept()).map_err(io::Error::other)?;
        self.evict(name, &kept)
    }
}

impl Mirrors {
    fn evict(&self, name: &str, kept: &Kept) -> io::Result<bool> {
        let lock = self.lock(name);
        // Whoever fetches into it or reads it holds it.
        let Ok(_turn) = lock.uses.try_write() else { return Ok(false) };
        if kept.contains_key(name) { Ok(false) } else { bury(&self.root.join(name)) }
    }

    /// Removes the least recently used mirrors beyond so many, but for those in use.
    pub(super) async fn keep_at_most(&self, most: usize) -> io::Result<()> {
        let mut mirrors = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let path = entry.path();
            if let Some(name) = name_of(&path) {
                mirrors.push((entry.metadata()?.modified()?, name.to_owned()));
            }
        }
        let mut too_many = mirrors.len().saturating_sub(most);
        if too_many == 0 {
            return Ok(());
        }
        let kept = self.kept().await.map_err(io::Error::other)?;
        mirrors.sort();
        let mut oldest = mirrors.into_iter();
        while let (1.., Some((_, name))) = (too_many, oldest.next()) {
            too_many -= usize::from(self.evict(&name, &kept)?);
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
