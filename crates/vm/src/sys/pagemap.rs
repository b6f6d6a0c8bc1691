//! Which pages of a private file mapping a process has written: they are its own
//! now, and no longer the file's (Documentation/admin-guide/mm/pagemap.rst of the
//! kernel, `process_vm_readv(2)`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::io::Errno;

/// A part of a process's addresses that stands for a part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub addresses: Range<u64>,
    /// Where in the file it begins.
    pub offset: u64,
    /// Which of the files that were asked for.
    pub file: usize,
}

/// The parts of these files that a process has mapped privately, by its addresses.
///
/// # Errors
/// What the kernel said; the process may be gone.
pub(crate) fn private_mappings(pid: u32, files: &[Metadata]) -> io::Result<Vec<Mapping>> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut found = Vec::new();
    // The device in this list is not the one that `stat` tells on every file system, so
    // the file behind the first mapping of each is asked itself.
    let mut asked: HashMap<(&str, u64), Option<usize>> = HashMap::new();
    for line in text.lines().filter_map(private_file) {
        let Range { start, end } = line.addresses;
        if !files.iter().any(|file| file.ino() == line.inode) {
            continue;
        }
        let file = match asked.entry((line.device, line.inode)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let mapped = fs::metadata(format!("/proc/{pid}/map_files/{start:x}-{end:x}"))?;
                let is_it =
                    |file: &Metadata| (file.dev(), file.ino()) == (mapped.dev(), mapped.ino());
                *unknown.insert(files.iter().position(is_it))
            }
        };
        found.extend(file.map(|file| Mapping {
            addresses: line.addresses,
            offset: line.offset,
            file,
        }));
    }
    Ok(found)
}

/// A line of proc_pid_maps(5), of a private mapping of a file.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    addresses: Range<u64>,
    offset: u64,
    device: &'a str,
    inode: u64,
}

/// Reads a line: addresses, permissions, offset, device, inode, path.
fn private_file(line: &str) -> Option<Line<'_>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |hex: &str| u64::from_str_radix(hex, 16).ok();
    let is_private = words.next()?.ends_with('p');
    let offset = number(words.next()?)?;
    let device = words.next()?;
    let inode = words.next()?.parse().ok()?;
    let addresses = number(start)?..number(end)?;
    let is_some = is_private && addresses.start < addresses.end;
    is_some.then_some(Line { addresses, offset, device, inode })
}

/// Which pages are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that are the process's own.
    Own,
    /// Those that are in its page tables.
    Touched,
}

/// A process's page map.
#[derive(Debug)]
pub(crate) struct Pagemap(File);

impl Pagemap {
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/pagemap")).map(Self)
    }

    /// The addresses in `within` whose pages are the process's own, in order.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn own_pages(&self, within: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.pages(within, Which::Own)
    }

    /// The addresses in `within` whose pages the process has looked at, or was given with
    /// those that it has, in order: its own and the file's.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn touched_pages(&self, within: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        self.pages(within, Which::Touched)
    }

    fn pages(&self, within: Range<u64>, which: Which) -> io::Result<Vec<Range<u64>>> {
        match self.scan(within.clone(), which) {
            // Linux before 6.7 tells page by page.
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => self.read(within, which),
            other => other,
        }
    }

    fn scan(&self, within: Range<u64>, which: Which) -> io::Result<Vec<Range<u64>>> {
        let (inverted, mask, told) = match which {
            Which::Own => (PAGE_IS_FILE, PAGE_IS_FILE, PAGE_IS_FILE),
            Which::Touched => (0, 0, PAGE_IS_PRESENT),
        };
        let mut found = Vec::new();
        let mut regions = vec![Region::default(); REGIONS_AT_ONCE];
        let mut start = within.start;
        while start < within.end {
            let mut request = ScanRequest {
                size: size_of::<ScanRequest>() as u64,
                start,
                end: within.end,
                regions: regions.as_mut_ptr() as u64,
                regions_len: regions.len() as u64,
                category_inverted: inverted,
                category_mask: mask,
                category_any: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                // The same for all that is found, so that neighbours come as one region.
                return_mask: told,
                ..ScanRequest::default()
            };
            // SAFETY: the request has the size it says, and names room for as many
            // regions as it says.
            let outcome = unsafe { libc::ioctl(self.0.as_raw_fd(), SCAN, &raw mut request) };
            let count = super::checked(outcome.into())?;
            let filled = regions.iter().take(usize::try_from(count).unwrap_or(0));
            filled.for_each(|region| push(&mut found, region.start..region.end));
            if request.walk_end <= start {
                return Err(io::ErrorKind::InvalidData.into());
            }
            start = request.walk_end;
        }
        Ok(found)
    }

    pub(crate) fn read(&self, within: Range<u64>, which: Which) -> io::Result<Vec<Range<u64>>> {
        let page_bytes = page_bytes();
        let mut found = Vec::new();
        let mut entries = vec![0; ENTRY_BYTES * ENTRIES_AT_ONCE];
        let mut start = within.start;
        while start < within.end {
            let pages = usize::try_from((within.end - start) / page_bytes).unwrap_or(usize::MAX);
            let some = &mut entries[..ENTRY_BYTES * pages.clamp(1, ENTRIES_AT_ONCE)];
            self.0.read_exact_at(some, start / page_bytes * ENTRY_BYTES as u64)?;
            for entry in some.as_chunks::<ENTRY_BYTES>().0 {
                let flags = u64::from_ne_bytes(*entry);
                let is_wanted = match which {
                    Which::Own => flags & SWAPPED != 0 || flags & (PRESENT | OF_FILE) == PRESENT,
                    Which::Touched => flags & (SWAPPED | PRESENT) != 0,
                };
                if is_wanted {
                    push(&mut found, start..start + page_bytes);
                }
                start += page_bytes;
            }
        }
        Ok(found)
    }
}

/// Adds a range, as part of the one before where it goes on.
fn push(found: &mut Vec<Range<u64>>, range: Range<u64>) {
    match found.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => found.push(range),
    }
}

/// How many regions one call returns at most.
const REGIONS_AT_ONCE: usize = 4096;
/// How many entries one read returns at most.
const ENTRIES_AT_ONCE: usize = 8192;
/// An entry of the page map, and its flags.
const ENTRY_BYTES: usize = 8;
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

/// `PAGEMAP_SCAN` and its structures (linux/fs.h).
const SCAN: libc::c_ulong = 0xc060_6610;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;

#[repr(C)]
#[derive(Debug, Default)]
struct ScanRequest {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_any: u64,
    return_mask: u64,
}

#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// The size of a page, in bytes.
pub(crate) fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

/// Reads these addresses of a process, one after the other, into `buffer`, which
/// is as long as all of them.
///
/// # Errors
/// What the kernel said; [`Errno::FAULT`] when it gave less than was asked for.
pub(crate) fn read_addresses(
    pid: u32,
    addresses: &[Range<u64>],
    buffer: &mut [u8],
) -> Result<(), Errno> {
    let asked: u64 = addresses.iter().map(|range| range.end - range.start).sum();
    if asked != buffer.len() as u64 {
        return Err(Errno::INVAL);
    }
    let remote: Vec<_> = addresses
        .iter()
        .map(|range| libc::iovec {
            iov_base: range.start as *mut libc::c_void,
            iov_len: (range.end - range.start) as usize,
        })
        .collect();
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::SRCH)?;
    // SAFETY: `local` is `buffer`, which nothing else uses meanwhile; the other
    // process's addresses are only read, and checked by the kernel.
    let outcome = unsafe {
        let count = remote.len() as libc::c_ulong;
        libc::process_vm_readv(pid, &raw const local, 1, remote.as_ptr(), count, 0)
    };
    let read = super::checked(outcome as libc::c_long)?;
    if read as u64 == asked { Ok(()) } else { Err(Errno::FAULT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_mappings_of_files_are_read() {
        let line = "7f0000000000-7f0000002000 rw-p 00001000 fe:00 4711    /memory (deleted)";
        let addresses = 0x7f00_0000_0000..0x7f00_0000_2000;
        let read = Line { addresses, offset: 0x1000, device: "fe:00", inode: 4711 };
        assert_eq!(private_file(line), Some(read));
        assert_eq!(private_file(&line.replace("rw-p", "rw-s")), None);
        assert_eq!(private_file("7f0-7f1"), None);
        assert_eq!(private_file("zz-7f1 rw-p 0 00:00 0"), None);
    }

    #[test]
    fn neighbours_are_one_range() {
        let mut found = Vec::new();
        for range in [0..1, 1..3, 4..5] {
            push(&mut found, range);
        }
        assert_eq!(found, [0..3, 4..5]);
    }
}
