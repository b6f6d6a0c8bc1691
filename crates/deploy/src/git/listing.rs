//! All files of a commit, with what tells whether they changed.

use super::GitError;
use super::mirror::{Mirror, READ_LIMIT};
use super::program::Call;

/// The bytes of a listing: some hundred thousand files.
const MAX_LISTING_BYTES: usize = 64 << 20;

/// Something that a commit has by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    /// From the repository's root; whatever bytes git takes for a name.
    pub path: Vec<u8>,
    /// Its mode and content: `100644 blob <id>`.
    pub version: String,
}

impl Mirror {
    /// Every file, link and submodule of the commit, in git's order.
    pub(crate) async fn listing(&self) -> Result<Vec<TreeEntry>, GitError> {
        let arguments = ["ls-tree", "-r", "-z", "--full-tree", &self.commit];
        let call = Call { dir: &self.dir, config: &[], arguments: &arguments, limit: READ_LIMIT };
        let listing = call.run(MAX_LISTING_BYTES).await?;
        let lines = listing.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        lines.map(|line| read(line).ok_or(GitError::Unreadable("ls-tree"))).collect()
    }
}

/// `100644 blob <id>\t<path>`
fn read(line: &[u8]) -> Option<TreeEntry> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let version = std::str::from_utf8(&line[..tab]).ok()?.to_owned();
    Some(TreeEntry { path: line[tab + 1..].to_vec(), version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let entry = read(b"100644 blob 0a\ta\tb\xff\n").unwrap();
        assert_eq!(
            (entry.path.as_slice(), &*entry.version),
            (&b"a\tb\xff\n"[..], "100644 blob 0a")
        );
        assert_eq!(read(b"100644 blob 0a"), None);
    }
}
