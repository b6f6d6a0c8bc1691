//! What the protocol says about one file.

use std::ffi::OsStr;
use std::fs::{FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use pando_guest_protocol::session::{Entry, EntryKind, Failure};

use super::{blocking, check_path};
use crate::session::failure::refused;

/// One file or directory; links are not followed.
pub async fn stat(path: String) -> Result<Entry, Failure> {
    let checked = check_path(&path)?;
    blocking(move || {
        let metadata = checked.symlink_metadata().map_err(|error| refused(&path, &error))?;
        Ok(entry(checked.file_name().unwrap_or(OsStr::new("/")), &metadata))
    })
    .await
}

/// As the protocol says it.
pub fn entry(name: &OsStr, metadata: &Metadata) -> Entry {
    Entry {
        name: name.to_string_lossy().into_owned(),
        kind: kind(metadata.file_type()),
        size_bytes: metadata.size(),
        mode: metadata.mode() & 0o7777,
        mtime_secs: metadata.mtime(),
    }
}

fn kind(of: FileType) -> EntryKind {
    if of.is_dir() {
        EntryKind::Dir
    } else if of.is_symlink() {
        EntryKind::Link
    } else if of.is_fifo() {
        EntryKind::Pipe
    } else if of.is_socket() {
        EntryKind::Socket
    } else if of.is_block_device() {
        EntryKind::Block
    } else if of.is_char_device() {
        EntryKind::Char
    } else {
        EntryKind::File
    }
}
