//! Copying pages of another process into a file, by a few threads.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{FallocateFlags, fallocate};

use super::MemoryError;
use crate::sys::pagemap;

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

/// A process's memory, and the file that parts of it are copied to, each to its own place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route<'a> {
    pub pid: u32,
    /// Where the memory begins, in the process's addresses.
    pub origin: u64,
    pub file: &'a File,
    /// Whether the file is a hole yet.
    pub is_empty: bool,
}

/// What was copied, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    pub written_bytes: u64,
    pub hole_bytes: u64,
}

/// Copies these parts, none of which overlap.
pub(super) fn copy(route: Route<'_>, parts: &[Range<u64>]) -> Result<Copied, MemoryError> {
    let batches = batches(parts);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(MOST_THREADS).min(batches.len());
    let copying = Copying {
        route,
        batches: &batches,
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
    Ok(Copied {
        written_bytes: copying.written.into_inner(),
        hole_bytes: copying.holes.into_inner(),
    })
}

/// Puts parts together, and cuts them up, into pieces of work of about the same size.
fn batches(parts: &[Range<u64>]) -> Vec<Vec<Range<u64>>> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for part in parts {
        let mut left = part.clone();
        while left.start < left.end {
            let end = left.end.min(left.start + (BATCH_BYTES - bytes));
            bytes += end - left.start;
            batch.push(left.start..end);
            left.start = end;
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

/// What the threads share.
struct Copying<'a> {
    route: Route<'a>,
    batches: &'a [Vec<Range<u64>>],
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

    fn copy(&self, batch: &[Range<u64>], buffer: &mut [u8]) -> Result<(), MemoryError> {
        let origin = self.route.origin;
        let addresses: Vec<_> =
            batch.iter().map(|part| origin + part.start..origin + part.end).collect();
        let filled = &mut buffer[..super::parts::bytes(batch) as usize];
        pagemap::read_addresses(self.route.pid, &addresses, filled)
            .map_err(|error| MemoryError::Read(error.into()))?;
        let mut rest: &[u8] = filled;
        for part in batch {
            let (bytes, after) = rest.split_at((part.end - part.start) as usize);
            self.write(bytes, part.start).map_err(MemoryError::Write)?;
            rest = after;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Route { file, is_empty, .. } = self.route;
        for (range, is_hole) in pieces(bytes) {
            let (start, length) = (offset + range.start as u64, range.len() as u64);
            if is_hole {
                if !is_empty {
                    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                    fallocate(file, flags, start, length)?;
                }
                self.holes.fetch_add(length, Ordering::Relaxed);
            } else {
                file.write_all_at(&bytes[range], start)?;
                self.written.fetch_add(length, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Cuts pages into what is written and what becomes a hole (`true`).
fn pieces(bytes: &[u8]) -> Vec<(Range<usize>, bool)> {
    let page_bytes = pagemap::page_bytes() as usize;
    let mut pieces: Vec<(Range<usize>, bool)> = Vec::new();
    for (index, page) in bytes.chunks(page_bytes).enumerate() {
        let range = index * page_bytes..index * page_bytes + page.len();
        let zero = is_zero(page);
        match pieces.last_mut() {
            Some((last, is_hole)) if *is_hole == zero => last.end = range.end,
            _ => pieces.push((range, zero)),
        }
    }
    let mut kept: Vec<(Range<usize>, bool)> = Vec::new();
    for (range, zero) in pieces {
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
mod tests {
    use super::*;

    #[test]
    fn work_is_cut_into_equal_pieces() {
        let part = |start: u64, bytes: u64| start..start + bytes;
        let large = batches(&[part(0, 4096), part(8192, 2 * BATCH_BYTES)]);
        let sizes = large.iter().map(|batch| super::super::parts::bytes(batch));
        assert_eq!(sizes.collect::<Vec<_>>(), [BATCH_BYTES, BATCH_BYTES, 4096]);
        let small: Vec<_> = (0..3000).map(|number| part(number * 8192, 4096)).collect();
        let cut = batches(&small);
        assert!(cut.iter().all(|batch| batch.len() <= BATCH_PARTS));
        assert_eq!(cut.concat(), small);
    }
}
