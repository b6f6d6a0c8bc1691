//! Saving the memory of a machine that was restored: from outside its VMM, so it
//! works the same for each of them.
//!
//! Such a machine maps the files that it was restored from privately. What it wrote
//! since are pages of its process, and all else is the files' still. So its memory is
//! the same files with one layer more, which holds just these pages: whoever is made of
//! it shares all of the others' page cache, and none of it depends on a name.

// Parts of a memory are ranges, also where there is one.
#![allow(clippy::single_range_in_vec_init)]

mod copy;
mod files;
mod parts;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use self::copy::Route;
pub use self::files::MemoryFiles;
use self::files::{MOST_LAYERS, MOST_PARTS, read_table, write_table};
use crate::sys::pagemap::{self, Mapping, Pagemap};
use crate::sys::reflink;

/// To copy what lies between two parts of a layer costs less than another mapping in
/// each machine that is made of it, in bytes.
const LAYER_GAP_BYTES: u64 = 16 << 10;
/// To read what lies between two parts costs less than another read, in bytes.
const TOUCHED_GAP_BYTES: u64 = 64 << 10;
/// More parts than that are not kept.
const MOST_TOUCHED: usize = 512;

/// What became of the pages that a machine wrote.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Written into the layer, in bytes.
    pub written_bytes: u64,
    /// Zeros that became holes, in bytes.
    pub hole_bytes: u64,
    /// Which parts of its memory the machine has used since it was restored; see [`warm`].
    pub touched: Vec<Range<u64>>,
}

/// Why memory could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It maps something else.
    #[error("the machine does not map the memory files that it was restored from")]
    NotMapped,
    /// There is too little room.
    #[error("{needed_bytes} bytes of memory were written, and there is room for {room_bytes}")]
    NoRoom {
        /// What the machine wrote.
        needed_bytes: u64,
        /// What it may take.
        room_bytes: u64,
    },
    /// Looking at the process, or reading it.
    #[error("the machine's memory cannot be read")]
    Read(#[source] io::Error),
    /// The files it was restored from, or the new one.
    #[error("the machine's memory cannot be written")]
    Write(#[source] io::Error),
}

/// Saves the memory of the process `pid`, which maps the files `from` privately and does
/// not change it meanwhile, in the folder `to`, where there is none and which is on the
/// same file system. When that fails, what is in there is of no use.
///
/// What is written goes no further than the page cache.
///
/// # Errors
/// Any [`MemoryError`].
pub fn save(
    pid: u32,
    from: &MemoryFiles,
    to: &Path,
    room_bytes: u64,
) -> Result<Saved, MemoryError> {
    let memory_bytes = fs::metadata(from.whole()).map_err(MemoryError::Write)?.len();
    let origin = origin(pid, from, memory_bytes)?;
    let pagemap = Pagemap::open(pid).map_err(MemoryError::Read)?;
    let within = origin..origin + memory_bytes;
    let parts = |addresses: Vec<Range<u64>>| -> Vec<Range<u64>> {
        let part = |range: Range<u64>| range.start - origin..range.end - origin;
        addresses.into_iter().map(part).collect()
    };
    let own = parts(pagemap.own_pages(within.clone()).map_err(MemoryError::Read)?);
    let own = parts::few(&own, LAYER_GAP_BYTES, MOST_PARTS);
    let touched = parts(pagemap.touched_pages(within).map_err(MemoryError::Read)?);
    let touched = parts::few(&touched, TOUCHED_GAP_BYTES, MOST_TOUCHED);

    let plan = Plan::of(from, own, memory_bytes).map_err(MemoryError::Write)?;
    let needed_bytes = parts::bytes(&plan.copied);
    if needed_bytes > room_bytes {
        return Err(MemoryError::NoRoom { needed_bytes, room_bytes });
    }
    let layer = plan.begin(from, to, memory_bytes).map_err(MemoryError::Write)?;
    let route = Route { pid, origin, file: &layer, is_empty: !plan.replaces };
    let copied = copy::copy(route, &plan.copied)?;
    // Last: a layer without it is none.
    write_table(&layer, memory_bytes, &plan.parts).map_err(MemoryError::Write)?;
    Ok(Saved { written_bytes: copied.written_bytes, hole_bytes: copied.hole_bytes, touched })
}

/// What the new layer is made of.
struct Plan {
    /// Whether it begins as a reflink of the last layer and takes its place.
    replaces: bool,
    /// How many layers stay below it.
    below: usize,
    /// What is copied into it.
    copied: Vec<Range<u64>>,
    /// What of it counts.
    parts: Vec<Range<u64>>,
}

impl Plan {
    fn of(from: &MemoryFiles, own: Vec<Range<u64>>, memory_bytes: u64) -> io::Result<Self> {
        let layers = from.layer_count();
        if layers < MOST_LAYERS {
            return Ok(Self { replaces: false, below: layers, copied: own.clone(), parts: own });
        }
        let both = parts::join(&read_table(&from.last(), memory_bytes)?, &own);
        if both.len() <= MOST_PARTS {
            return Ok(Self { replaces: true, below: layers - 1, copied: own, parts: both });
        }
        // What lies in the gaps that are closed is in neither.
        let few = parts::few(&both, LAYER_GAP_BYTES, MOST_PARTS);
        Ok(Self { replaces: false, below: layers - 1, copied: few.clone(), parts: few })
    }

    /// Makes the new layer's file over what stays.
    fn begin(&self, from: &MemoryFiles, to: &Path, memory_bytes: u64) -> io::Result<File> {
        let below = from.lowest(self.below).link_to(to)?;
        let path = below.and_one().last();
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        let layer = if self.replaces {
            reflink::clone_file(&from.last(), &path)?;
            options.open(path)?
        } else {
            options.create_new(true).open(path)?
        };
        // Without the old one's table. Now, for it would wait for what was written.
        layer.set_len(memory_bytes)?;
        Ok(layer)
    }
}

/// Where the memory begins in the process's addresses: it is one piece of them, and each
/// byte of it comes from the file that it is to come from, at its own place in that.
fn origin(pid: u32, from: &MemoryFiles, memory_bytes: u64) -> Result<u64, MemoryError> {
    let files: Vec<_> =
        from.all().map(fs::metadata).collect::<Result<_, _>>().map_err(MemoryError::Write)?;
    let mappings = pagemap::private_mappings(pid, &files).map_err(MemoryError::Read)?;
    let origin = mappings.first().map(|first| first.addresses.start);
    let origin = origin.ok_or(MemoryError::NotMapped)?;
    let mut found: Vec<(Range<u64>, usize)> = Vec::new();
    for Mapping { addresses, offset, file } in mappings {
        let part = addresses.start - origin..addresses.end - origin;
        if part.start != offset {
            return Err(MemoryError::NotMapped);
        }
        match found.last_mut() {
            Some((last, same)) if *same == file && last.end == part.start => last.end = part.end,
            _ => found.push((part, file)),
        }
    }
    // A layer that is missing would mean an older memory.
    let wanted = from.origins(memory_bytes).map_err(MemoryError::Write)?;
    if found == wanted { Ok(origin) } else { Err(MemoryError::NotMapped) }
}

/// Has the kernel read these parts of a memory, and does not wait for it: a machine that
/// is made of it will use them first. Page by page, as the machine comes to them, the same
/// reads take several times as long. What is in its cache already costs nothing.
///
/// # Errors
/// When a file cannot be opened. What cannot be read now is read when it is used.
pub fn warm(memory: &MemoryFiles, parts: &[Range<u64>]) -> io::Result<()> {
    for path in memory.all() {
        let file = File::open(path)?;
        for part in parts {
            let length = NonZero::new(part.end.saturating_sub(part.start));
            fadvise(&file, part.start, length, Advice::WillNeed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
