//! Saving the memory of a machine that was restored: from outside its VMM, so it
//! works the same for each of them.
//!
//! Such a machine maps the file that it was restored from (its base) privately.
//! What it wrote since are pages of its process, and all else is the base's still.
//! So its memory is a reflink of the base with these pages over it: a whole file,
//! that shares what it has in common with the base and depends on nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

use crate::sys::pagemap::{self, Mapping, Pagemap};
use crate::sys::reflink;

/// How much is copied by one call, in bytes: what stays in a processor's cache
/// between the read and the write.
const BATCH_BYTES: u64 = 512 << 10;
/// Of how many places at most (`IOV_MAX`).
const BATCH_PARTS: usize = 1024;
/// The shortest run of zeros that becomes a hole, in bytes: each hole is a
/// transaction of the file system, and writing a few zeros costs less.
const SHORTEST_HOLE_BYTES: usize = 64 << 10;
/// More threads than this only wait for the file's lock.
const MOST_THREADS: usize = 4;
/// To read what lies between two parts costs less than another read, in bytes.
const SMALLEST_GAP_BYTES: u64 = 64 << 10;
/// More parts than that are not kept.
const MOST_PARTS: usize = 512;

/// What became of the pages that a machine wrote.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Written into the file, in bytes.
    pub written_bytes: u64,
    /// Zeros that became holes, in bytes.
    pub hole_bytes: u64,
    /// Which parts of the file the machine has used since it was restored; see [`warm`].
    pub touched: Vec<Range<u64>>,
}

/// Why memory could not be saved. Nothing is then left of it.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It maps something else.
    #[error("the machine does not map the memory file that it was restored from")]
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
    /// The base or the new file.
    #[error("the machine's memory cannot be written")]
    Write(#[source] io::Error),
}

/// Saves the memory of the process `pid`, which maps `base` privately and does not
/// change it meanwhile, as the new file `target` on the same file system.
///
/// What is written goes no further than the page cache.
///
/// # Errors
/// Any [`MemoryError`].
pub fn save(pid: u32, base: &Path, target: &Path, room_bytes: u64) -> Result<Saved, MemoryError> {
    let metadata = fs::metadata(base).map_err(MemoryError::Write)?;
    let mappings = pagemap::private_mappings(pid, &metadata).map_err(MemoryError::Read)?;
    if !is_whole(&mappings, metadata.len()) {
        return Err(MemoryError::NotMapped);
    }
    let runs = own_runs(pid, &mappings).map_err(MemoryError::Read)?;
    let needed_bytes = runs.iter().map(Run::bytes).sum();
    if needed_bytes > room_bytes {
        return Err(MemoryError::NoRoom { needed_bytes, room_bytes });
    }
    let touched = touched_parts(pid, &mappings).map_err(MemoryError::Read)?;
    reflink::clone_file(base, target).map_err(MemoryError::Write)?;
    let copied = OpenOptions::new()
        .write(true)
        .open(target)
        .map_err(MemoryError::Write)
        .and_then(|file| copy(pid, &batches(runs), &file))
        .map(|saved| Saved { touched, ..saved });
    copied.inspect_err(|_| {
        // Half of it is of no use to anyone.
        let _ = fs::remove_file(target);
    })
}

/// Whether the parts are the whole file, each byte once.
fn is_whole(mappings: &[Mapping], file_bytes: u64) -> bool {
    let end = mappings.iter().try_fold(0, |end, mapping| {
        (mapping.offset == end).then(|| end.saturating_add(mapping.end - mapping.start))
    });
    file_bytes > 0 && end == Some(file_bytes)
}

/// Addresses that go to one place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    addresses: Range<u64>,
    offset: u64,
}

impl Run {
    fn bytes(&self) -> u64 {
        self.addresses.end - self.addresses.start
    }

    /// Cuts it after `bytes`, which it has more than.
    fn split(self, bytes: u64) -> (Self, Self) {
        let middle = self.addresses.start + bytes;
        let rest = Self { addresses: middle..self.addresses.end, offset: self.offset + bytes };
        (Self { addresses: self.addresses.start..middle, offset: self.offset }, rest)
    }
}

/// Has the kernel read these parts of a memory file, and does not wait for it: a machine
/// that is made of it will use them first. The file is a reflink, which shares its blocks
/// with its base, but no page in the kernel's cache. Page by page, as the machine comes to
/// them, the same reads take several times as long.
///
/// # Errors
/// When the file cannot be opened. What cannot be read now is read when it is used.
pub fn warm(memory: &Path, parts: &[Range<u64>]) -> io::Result<()> {
    let file = File::open(memory)?;
    for part in parts {
        let length = NonZero::new(part.end.saturating_sub(part.start));
        fadvise(&file, part.start, length, Advice::WillNeed)?;
    }
    Ok(())
}

/// What a machine has used of its memory file: in few parts, with small gaps closed.
fn touched_parts(pid: u32, mappings: &[Mapping]) -> io::Result<Vec<Range<u64>>> {
    let pagemap = Pagemap::open(pid)?;
    let mut parts = Vec::new();
    for mapping in mappings {
        let touched = pagemap.touched_pages(mapping.start..mapping.end)?;
        let offset = |address: u64| mapping.offset + (address - mapping.start);
        parts.extend(touched.iter().map(|range| offset(range.start)..offset(range.end)));
    }
    let mut gap = SMALLEST_GAP_BYTES;
    while parts.len() > MOST_PARTS || gap == SMALLEST_GAP_BYTES {
        parts = close_gaps(parts, gap);
        gap *= 2;
    }
    Ok(parts)
}

/// Puts parts together that are not further apart.
fn close_gaps(parts: Vec<Range<u64>>, gap_bytes: u64) -> Vec<Range<u64>> {
    let mut closed: Vec<Range<u64>> = Vec::new();
    for part in parts {
        match closed.last_mut() {
            Some(last) if part.start.saturating_sub(last.end) <= gap_bytes => last.end = part.end,
            _ => closed.push(part),
        }
    }
    closed
}

fn own_runs(pid: u32, mappings: &[Mapping]) -> io::Result<Vec<Run>> {
    let pagemap = Pagemap::open(pid)?;
    let mut runs = Vec::new();
    for mapping in mappings {
        let own = pagemap.own_pages(mapping.start..mapping.end)?;
        let within = |range: &Range<u64>| {
            mapping.start <= range.start && range.start < range.end && range.end <= mapping.end
        };
        runs.extend(own.into_iter().filter(within).map(|addresses| {
            let offset = mapping.offset + (addresses.start - mapping.start);
            Run { addresses, offset }
        }));
    }
    Ok(runs)
}

/// Puts runs together, and cuts them up, into pieces of work of about the same size.
fn batches(runs: Vec<Run>) -> Vec<Vec<Run>> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for run in runs {
        let mut left = Some(run);
        while let Some(run) = left.take() {
            let room = BATCH_BYTES - bytes;
            let part = if run.bytes() > room {
                let (part, rest) = run.split(room);
                left = Some(rest);
                part
            } else {
                run
            };
            bytes += part.bytes();
            batch.push(part);
            if bytes == BATCH_BYTES || batch.len() == BATCH_PARTS {
                batches.push(std::mem::take(&mut batch));
                bytes = 0;
            }
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

fn copy(pid: u32, batches: &[Vec<Run>], file: &File) -> Result<Saved, MemoryError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(MOST_THREADS).min(batches.len());
    let copying = Copying {
        pid,
        file,
        batches,
        next: AtomicUsize::new(0),
        written: AtomicU64::new(0),
        holes: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        // This thread is one of them: so there is always one.
        let helpers: Vec<_> = (1..threads)
            .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, || copying.work()).ok())
            .collect();
        let mut outcome = copying.work();
        for helper in helpers {
            let panicked = |_| Err(MemoryError::Read(io::Error::other("a thread panicked")));
            outcome = outcome.and(helper.join().unwrap_or_else(panicked));
        }
        outcome
    })?;
    Ok(Saved {
        written_bytes: copying.written.into_inner(),
        hole_bytes: copying.holes.into_inner(),
        touched: Vec::new(),
    })
}

/// What the threads share.
struct Copying<'a> {
    pid: u32,
    file: &'a File,
    batches: &'a [Vec<Run>],
    next: AtomicUsize,
    written: AtomicU64,
    holes: AtomicU64,
}

impl Copying<'_> {
    /// Takes batches until none is left.
    fn work(&self) -> Result<(), MemoryError> {
        let mut buffer = vec![0; BATCH_BYTES as usize];
        while let Some(batch) = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            self.copy(batch, &mut buffer).inspect_err(|_| {
                // The others need not go on.
                self.next.store(self.batches.len(), Ordering::Relaxed);
            })?;
        }
        Ok(())
    }

    fn copy(&self, batch: &[Run], buffer: &mut [u8]) -> Result<(), MemoryError> {
        let addresses: Vec<_> = batch.iter().map(|run| run.addresses.clone()).collect();
        let bytes: u64 = batch.iter().map(Run::bytes).sum();
        let filled = &mut buffer[..bytes as usize];
        pagemap::read_addresses(self.pid, &addresses, filled)
            .map_err(|error| MemoryError::Read(error.into()))?;
        let mut rest: &[u8] = filled;
        for run in batch {
            let (bytes, after) = rest.split_at(run.bytes() as usize);
            self.write(bytes, run.offset).map_err(MemoryError::Write)?;
            rest = after;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        for (range, is_hole) in parts(bytes) {
            let (start, length) = (offset + range.start as u64, range.len() as u64);
            if is_hole {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(self.file, flags, start, length)?;
                self.holes.fetch_add(length, Ordering::Relaxed);
            } else {
                self.file.write_all_at(&bytes[range], start)?;
                self.written.fetch_add(length, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Cuts pages into what is written and what becomes a hole (`true`).
fn parts(bytes: &[u8]) -> Vec<(Range<usize>, bool)> {
    let page_bytes = pagemap::page_bytes() as usize;
    let mut parts: Vec<(Range<usize>, bool)> = Vec::new();
    for (index, page) in bytes.chunks(page_bytes).enumerate() {
        let range = index * page_bytes..index * page_bytes + page.len();
        let zero = is_zero(page);
        match parts.last_mut() {
            Some((last, is_hole)) if *is_hole == zero => last.end = range.end,
            _ => parts.push((range, zero)),
        }
    }
    let mut kept: Vec<(Range<usize>, bool)> = Vec::new();
    for (range, zero) in parts {
        let is_hole = zero && range.len() >= SHORTEST_HOLE_BYTES;
        match kept.last_mut() {
            Some((last, false)) if !is_hole => last.end = range.end,
            _ => kept.push((range, is_hole)),
        }
    }
    kept
}

fn is_zero(page: &[u8]) -> bool {
    const BLOCK: usize = 64;
    let (blocks, rest) = page.as_chunks::<BLOCK>();
    // Most pages say no at their first block.
    blocks.iter().all(|block| *block == [0; BLOCK]) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests;
