//! All files of a tree, with what tells whether they changed.

use super::index::Entry;
use super::mirror::{Mirror, Part};

/// Something that a tree has by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    /// From its root; whatever bytes git takes for a name.
    pub path: Vec<u8>,
    /// Its mode and content: `100644 <id>`.
    pub version: String,
}

impl TreeEntry {
    /// Whether it is a symbolic link.
    pub(crate) fn is_link(&self) -> bool {
        self.version.starts_with("120000 ")
    }
}

impl Mirror {
    /// Every file and link of the tree, those of its submodules among them.
    pub(crate) fn listing(&self) -> Vec<TreeEntry> {
        let parts = &self.held.parts;
        let is_part = |path: &[u8]| parts.iter().any(|part| part.path.as_bytes() == path);
        let named = |part: &Part, entry: &Entry| {
            let above = if part.path.is_empty() { "" } else { "/" };
            let path = [part.path.as_bytes(), above.as_bytes(), &entry.path].concat();
            let version = format!("{:o} {}", entry.mode, entry.id);
            TreeEntry { path, version }
        };
        let entries = parts.iter().flat_map(|part| {
            part.entries.iter().map(move |entry| (entry.is_submodule(), named(part, entry)))
        });
        // In the place of a submodule stands what is in it.
        let stays =
            |(is_submodule, entry): &(bool, TreeEntry)| !is_submodule || !is_part(&entry.path);
        entries.filter(stays).map(|(_, entry)| entry).collect()
    }
}
