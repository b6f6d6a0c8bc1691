//! The files of a machine's memory: a whole one, and layers over it.
//!
//! ```text
//! memory      whole
//! memory-1    over it: pages at their own places, then a table of those that count
//! memory-2    over both
//! ```
//!
//! Machines of one template, and copies of one machine, have the same files under names
//! of their own (hard links), so the kernel keeps one copy of each page for all of them.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::parts;
use crate::sys::pagemap::page_bytes;

/// More layers than this are not put over each other: the last one is replaced instead.
pub(super) const MOST_LAYERS: usize = 4;
/// More parts than this no layer has. Each costs its machine a call and up to two mappings
/// (of 65,530 in all: `vm.max_map_count`, Documentation/admin-guide/sysctl/vm.rst).
pub(super) const MOST_PARTS: usize = 4096;
/// An entry of the table: where a part begins and how long it is, in bytes, little-endian.
/// `pando-vmm-preload` reads the same.
const ENTRY_BYTES: usize = 16;

/// The files that a machine's memory begins as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryFiles {
    dir: PathBuf,
    layers: usize,
}

impl MemoryFiles {
    /// Those in `dir`, which has so many layers.
    #[must_use]
    pub fn of(dir: &Path, layers: usize) -> Self {
        Self { dir: dir.to_owned(), layers }
    }

    /// Those that are in `dir`.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn find(dir: &Path) -> io::Result<Self> {
        let mut layers = 0;
        while layers < MOST_LAYERS && dir.join(name(layers + 1)).try_exists()? {
            layers += 1;
        }
        Ok(Self::of(dir, layers))
    }

    /// The names that such files have in `dir`, those that are there and those that are not.
    pub fn names(dir: &Path) -> impl Iterator<Item = PathBuf> {
        (0..=MOST_LAYERS).map(move |index| dir.join(name(index)))
    }

    /// The whole one.
    #[must_use]
    pub fn whole(&self) -> PathBuf {
        self.dir.join(name(0))
    }

    /// The layers over it, in order.
    pub fn layers(&self) -> impl Iterator<Item = PathBuf> {
        self.all().skip(1)
    }

    /// All of them, the whole one first.
    pub fn all(&self) -> impl Iterator<Item = PathBuf> {
        (0..=self.layers).map(|index| self.dir.join(name(index)))
    }

    /// How many layers there are.
    #[must_use]
    pub fn layer_count(&self) -> usize {
        self.layers
    }

    /// Gives them names of their own in `dir`.
    ///
    /// # Errors
    /// What the file system said.
    pub fn link_to(&self, dir: &Path) -> io::Result<Self> {
        let there = Self::of(dir, self.layers);
        self.all().zip(there.all()).try_for_each(|(from, to)| fs::hard_link(from, to))?;
        Ok(there)
    }

    /// Puts them on the disk.
    ///
    /// # Errors
    /// What the file system said.
    pub fn sync(&self) -> io::Result<()> {
        self.all().try_for_each(|path| File::open(path)?.sync_data())
    }

    /// Which of them each part of the memory comes from.
    ///
    /// # Errors
    /// What the file system said; `InvalidData` where one is no layer.
    pub(super) fn origins(&self, memory_bytes: u64) -> io::Result<Vec<(Range<u64>, usize)>> {
        let mut origins = vec![(0..memory_bytes, 0)];
        for (index, layer) in self.layers().enumerate() {
            origins = parts::lay_over(&origins, &read_table(&layer, memory_bytes)?, index + 1);
        }
        Ok(origins)
    }

    /// The same with one layer more.
    pub(super) fn and_one(&self) -> Self {
        Self::of(&self.dir, self.layers + 1)
    }

    /// The whole one and so many of the layers, from the lowest on.
    pub(super) fn lowest(&self, layers: usize) -> Self {
        Self::of(&self.dir, self.layers.min(layers))
    }

    /// The last layer.
    pub(super) fn last(&self) -> PathBuf {
        self.dir.join(name(self.layers))
    }
}

fn name(index: usize) -> String {
    match index {
        0 => "memory".to_owned(),
        layer => format!("memory-{layer}"),
    }
}

/// Writes which parts of a layer count, behind the memory that it is of, which is all that
/// there is of the file yet.
pub(super) fn write_table(layer: &File, memory_bytes: u64, parts: &[Range<u64>]) -> io::Result<()> {
    let number = |part: &Range<u64>| [part.start, part.end - part.start];
    let numbers = parts.iter().flat_map(number);
    let table: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
    layer.write_all_at(&table, memory_bytes)
}

/// Reads which parts of a layer count.
///
/// # Errors
/// What the file system said; `InvalidData` for a file that is no layer.
pub(super) fn read_table(layer: &Path, memory_bytes: u64) -> io::Result<Vec<Range<u64>>> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "this is no layer of a memory");
    let file = File::open(layer)?;
    let length = file.metadata()?.len().checked_sub(memory_bytes).ok_or_else(broken)?;
    let length = usize::try_from(length).map_err(|_| broken())?;
    if length > MOST_PARTS * ENTRY_BYTES || length % ENTRY_BYTES != 0 {
        return Err(broken());
    }
    let mut table = vec![0; length];
    file.read_exact_at(&mut table, memory_bytes)?;
    let mut end = 0;
    let mut part = |entry: &[u8; ENTRY_BYTES]| {
        let [start, bytes] = *entry.as_chunks::<{ ENTRY_BYTES / 2 }>().0 else { return None };
        let start = u64::from_le_bytes(start);
        let part = start..start.checked_add(u64::from_le_bytes(bytes))?;
        let is_whole = [part.start, part.end].iter().all(|at| at.is_multiple_of(page_bytes()));
        let fits = end <= part.start && part.start < part.end && part.end <= memory_bytes;
        end = part.end;
        (is_whole && fits).then_some(part)
    };
    let entries = table.as_chunks().0.iter();
    entries.map(|entry| part(entry).ok_or_else(broken)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written_and_junk_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("layer");
        let file = File::create(&path).unwrap();
        let memory_bytes = 64 * page_bytes();
        let page = page_bytes();
        let parts = vec![0..page, 3 * page..9 * page, 63 * page..64 * page];
        write_table(&file, memory_bytes, &parts).unwrap();
        assert_eq!(read_table(&path, memory_bytes).unwrap(), parts);
        let refused = |parts: &[Range<u64>]| {
            write_table(&file, memory_bytes, parts).unwrap();
            read_table(&path, memory_bytes).unwrap_err()
        };
        refused(&[0..0]);
        refused(&[1..page]);
        refused(&[page..2 * page, 0..page]);
        refused(&[63 * page..65 * page]);
        file.set_len(memory_bytes + 7).unwrap();
        assert!(read_table(&path, memory_bytes).is_err());
        assert!(read_table(&path, memory_bytes + page).is_err());
    }

    #[test]
    fn files_are_found_and_linked() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        for folder in [&here, &there] {
            fs::create_dir(folder).unwrap();
        }
        for file in ["memory", "memory-1", "memory-3"] {
            fs::write(here.join(file), file).unwrap();
        }
        let found = MemoryFiles::find(&here).unwrap();
        assert_eq!(found.layer_count(), 1);
        let linked = found.link_to(&there).unwrap();
        assert_eq!(MemoryFiles::find(&there).unwrap(), linked);
        assert_eq!(fs::read_to_string(linked.last()).unwrap(), "memory-1");
        assert_eq!(linked.lowest(0).last(), linked.whole());
    }
}
