//! Git's index of a tree (gitformat-index(5), version 2), as a checkout would have
//! written it: with the times and sizes that the files will have in the sandbox.
//!
//! So a `git status` there believes them and reads no file, and is clean whatever the
//! attributes of the repository say about line ends and filters.

use aws_lc_rs::digest;

use super::GitError;
use super::program::Call;

/// The bytes of the listing of one tree.
const MAX_LISTING_BYTES: usize = 64 << 20;

const SUBMODULE: u32 = 0o160_000;
const LINK: u32 = 0o120_000;
const EXECUTABLE: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
/// The longest name whose length the index says; longer ones end at their NUL.
const MAX_SAID_LENGTH: usize = 0xfff;

/// A file, link or submodule of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub mode: u32,
    /// In hex.
    pub id: String,
    pub bytes: u64,
    pub path: Vec<u8>,
}

impl Entry {
    pub(super) fn is_submodule(&self) -> bool {
        self.mode == SUBMODULE
    }

    pub(super) fn is_link(&self) -> bool {
        self.mode == LINK
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.mode, FILE | EXECUTABLE)
    }
}

/// All entries of a commit's tree, in the index's order.
pub(super) async fn list(dir: &std::path::Path, commit: &str) -> Result<Vec<Entry>, GitError> {
    let arguments = ["ls-tree", "-r", "-z", "-l", "--full-tree", commit];
    let listing = Call::new(dir, &arguments).run(MAX_LISTING_BYTES).await;
    let listing = listing.map_err(|error| match error {
        GitError::TooLarge { limit_bytes, .. } => {
            GitError::TooLarge { what: "list of the tree's files", limit_bytes }
        }
        error => error,
    })?;
    let lines = listing.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    lines.map(|line| entry(line).ok_or(GitError::Unreadable("ls-tree"))).collect()
}

/// `mode type id size TAB path`; a submodule's size is `-`.
fn entry(line: &[u8]) -> Option<Entry> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let facts = std::str::from_utf8(&line[..tab]).ok()?;
    let mut facts = facts.split_ascii_whitespace();
    let (mode, _kind, id, bytes) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
    let mode = match u32::from_str_radix(mode, 8).ok()? {
        special @ (SUBMODULE | LINK) => special,
        // Old trees have more bits, which nothing keeps.
        file if file & 0o100 != 0 => EXECUTABLE,
        _ => FILE,
    };
    let is_whole = super::is_commit(id);
    let (id, path) = (id.to_owned(), line[tab + 1..].to_vec());
    is_whole.then(|| Entry { mode, id, bytes: bytes.parse().unwrap_or(0), path })
}

/// The index of these entries, each last changed in that second.
pub(super) fn encode(entries: &[Entry], modified: u64) -> Vec<u8> {
    let mut index = b"DIRC\0\0\0\x02".to_vec();
    let number = |value: u64| (value as u32).to_be_bytes();
    index.extend_from_slice(&number(entries.len() as u64));
    for entry in entries {
        let start = index.len();
        let is_checked = !entry.is_submodule();
        let seconds = if is_checked { modified } else { 0 };
        // Change of the inode, of the content, device, inode: only one is looked at.
        for value in [0, 0, seconds, 0, 0, 0, u64::from(entry.mode), 0, 0, entry.bytes] {
            index.extend_from_slice(&number(value));
        }
        for pair in entry.id.as_bytes().chunks(2) {
            let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
            index.push(digit(pair[0]) << 4 | digit(pair[1]));
        }
        let length = entry.path.len().min(MAX_SAID_LENGTH) as u16;
        index.extend_from_slice(&length.to_be_bytes());
        index.extend_from_slice(&entry.path);
        let bytes = index.len() - start;
        index.resize(start + (bytes / 8 + 1) * 8, 0);
    }
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &index);
    index.extend_from_slice(sum.as_ref());
    index
}
