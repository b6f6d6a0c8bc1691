//! `/v1/sandboxes/{id}/fs`: a sandbox's files, streamed. The path comes in the
//! query as percent-encoded bytes ([`path`]).

pub mod dir;
pub mod mkdir;
pub mod path;
pub mod read;
pub mod remove;
pub mod rename;
pub mod stat;
pub mod write;

use pando_guest_protocol::session::{Entry, EntryKind};
use pando_types::sandbox::FileInfo;

/// An agent's entry as the wire shows it.
fn file_info(entry: Entry, path: String) -> FileInfo {
    let mode = match entry.kind {
        EntryKind::File => "f",
        EntryKind::Dir => "d",
        EntryKind::Link => "l",
        EntryKind::Pipe => "p",
        EntryKind::Socket => "s",
        EntryKind::Block => "b",
        EntryKind::Char => "c",
    };
    FileInfo {
        name: entry.name,
        path,
        is_dir: entry.kind == EntryKind::Dir,
        size: entry.size_bytes,
        mode: mode.to_owned(),
        permissions: format!("{:04o}", entry.mode & 0o7777),
        mtime: entry.mtime_secs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_shows_its_kind_and_permissions() {
        let entry = Entry {
            name: "tmp".into(),
            kind: EntryKind::Dir,
            size_bytes: 4096,
            mode: 0o041_777,
            mtime_secs: 5,
        };
        let info = file_info(entry, "/tmp".into());
        assert_eq!((info.mode.as_str(), info.permissions.as_str()), ("d", "1777"));
        assert!(info.is_dir);
    }
}
