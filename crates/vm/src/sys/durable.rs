//! Files that are there whole or not at all, after a power cut too.
//!
//! `rename(2)` is atomic for readers; that it survives a crash needs an fsync of
//! the file before it and of the folder after it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Replaces the file at `path` with `bytes`, durably. Only its owner may read it.
///
/// # Errors
/// What the file system said; the old content is then still there.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(&temporary, path)
}

/// Writes `bytes` to the disk as what the file at `path` is to hold next, under the
/// name [`prepared`]: what is left to do then is one rename, and one wait for the disk.
///
/// # Errors
/// What the file system said.
pub fn prepare_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut next = OpenOptions::new();
    next.write(true).create(true).truncate(true).mode(0o600);
    let mut file = next.open(prepared(path))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Where [`prepare_file`] puts it.
#[must_use]
pub fn prepared(path: &Path) -> PathBuf {
    path.with_extension("next")
}

/// Replaces the file at `path` with `bytes` at one instant, without waiting for
/// the disk: it outlasts this process, not a power cut.
///
/// # Errors
/// What the file system said; the old content is then still there.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, bytes)?;
    std::fs::rename(&temporary, path)
}

/// Renames within one file system, durably. What stood at `to` is replaced.
///
/// # Errors
/// What the file system said.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_parent(to)
}

/// Makes the entry of `path` in its folder durable.
///
/// # Errors
/// What the file system said.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Removes a folder and all in it; fine when it is not there.
///
/// # Errors
/// What the file system said.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether an error says that the disk, or what may be used of it, is full.
#[must_use]
pub fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
