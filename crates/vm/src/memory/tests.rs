//! Against a mapping of this process, on a file system that can share blocks.

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::sys::pagemap::Which;
use crate::sys::test_disk::Xfs;

const PAGE: usize = 4096;
const PAGES: usize = 1024;

/// A private mapping of a memory, made as `pando-vmm-preload` makes it.
struct Mapped {
    address: *mut u8,
    bytes: usize,
}

impl Mapped {
    fn of(memory: &MemoryFiles) -> Self {
        let bytes = fs::metadata(memory.whole()).unwrap().len();
        let everything = 0..bytes;
        let address = map(std::ptr::null_mut(), &memory.whole(), &everything, 0);
        for layer in memory.layers() {
            for part in read_table(&layer, bytes).unwrap() {
                // SAFETY: within the mapping.
                let place = unsafe { address.add(part.start as usize) };
                map(place, &layer, &part, libc::MAP_FIXED);
            }
        }
        Self { address, bytes: bytes as usize }
    }

    fn all(&self) -> &[u8] {
        // SAFETY: the mapping, which nobody writes to while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.address, self.bytes) }
    }

    fn page(&mut self, number: usize) -> &mut [u8] {
        assert!((number + 1) * PAGE <= self.bytes);
        // SAFETY: within the mapping, which is ours alone while `self` is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.address.add(number * PAGE), PAGE) }
    }
}

fn map(place: *mut u8, file: &Path, part: &Range<u64>, flags: i32) -> *mut u8 {
    let file = File::open(file).unwrap();
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | flags);
    let (bytes, offset) = ((part.end - part.start) as usize, part.start as i64);
    // SAFETY: a new mapping, or over a part of one that nobody has borrowed.
    let address =
        unsafe { libc::mmap(place.cast(), bytes, protection, flags, file.as_raw_fd(), offset) };
    assert_ne!(address, libc::MAP_FAILED);
    address.cast()
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: nothing borrows of it any more.
        unsafe { libc::munmap(self.address.cast(), self.bytes) };
    }
}

/// A memory of one file, in the folder `name`.
fn whole(folder: &Path, name: &str, pages: usize) -> (MemoryFiles, Vec<u8>) {
    let bytes: Vec<u8> = (0..pages * PAGE).map(|index| (index / PAGE + index) as u8).collect();
    let memory = MemoryFiles::of(&made(folder, name), 0);
    fs::write(memory.whole(), &bytes).unwrap();
    (memory, bytes)
}

fn made(folder: &Path, name: &str) -> std::path::PathBuf {
    let dir = folder.join(name);
    fs::create_dir(&dir).unwrap();
    dir
}

fn save_of(memory: &MemoryFiles, to: &Path) -> Result<Saved, MemoryError> {
    save(std::process::id(), memory, to, u64::MAX)
}

#[test]
fn what_was_written_is_over_what_was_not() {
    let folder = Xfs::new();
    let (memory, mut expected) = whole(folder.path(), "whole", PAGES);
    let mut mapped = Mapped::of(&memory);
    let mut write = |number: usize, byte: u8| {
        mapped.page(number).fill(byte);
        expected[number * PAGE..(number + 1) * PAGE].fill(byte);
    };
    for number in [0, 1, 40, 500, PAGES - 1] {
        write(number, (number % 200) as u8 + 1);
    }
    // Alone a zero page is written, many are a hole.
    write(7, 0);
    (600..700).for_each(|number| write(number, 0));
    // Read, but not written.
    assert_eq!(mapped.page(9)[0], expected[9 * PAGE]);

    let first = made(folder.path(), "first");
    let saved = save_of(&memory, &first).unwrap();
    let page = PAGE as u64;
    assert_eq!((saved.written_bytes, saved.hole_bytes), (6 * page, 100 * page));
    // What was used is in there, written or only read, in few parts.
    let is_touched = |number: usize| {
        let at = number as u64 * page;
        saved.touched.iter().any(|part| part.contains(&at))
    };
    assert!([0, 1, 7, 9, 40, 500, 650, PAGES - 1].into_iter().all(is_touched));
    assert!(!is_touched(800), "{:?}", saved.touched);
    drop(mapped);
    let files = MemoryFiles::find(&first).unwrap();
    assert_eq!(files.layer_count(), 1);
    warm(&files, &saved.touched).unwrap();
    assert!(Mapped::of(&files).all() == expected);
    // It is the same file for both, and gone when none of them needs it.
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&files.whole()), inode(&memory.whole()));
    fs::remove_file(memory.whole()).unwrap();
    assert!(Mapped::of(&files).all() == expected);
    assert_eq!(fs::metadata(files.last()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn generations_are_layers_and_never_too_many() {
    let folder = Xfs::new();
    let (mut memory, mut expected) = whole(folder.path(), "0", PAGES);
    let seed = 7;
    println!("seed {seed}");
    let mut random = Random(seed);
    for generation in 1..=MOST_LAYERS * 3 {
        let mut mapped = Mapped::of(&memory);
        assert!(mapped.all() == expected, "generation {generation}");
        for _ in 0..random.below(60) {
            let (start, pages) = (random.below(PAGES), random.below(40));
            let byte = random.below(3) as u8;
            for number in start..(start + pages).min(PAGES) {
                mapped.page(number).fill(byte);
                expected[number * PAGE..(number + 1) * PAGE].fill(byte);
            }
        }
        let next = made(folder.path(), &generation.to_string());
        save_of(&memory, &next).unwrap();
        memory = MemoryFiles::find(&next).unwrap();
        assert_eq!(memory.layer_count(), generation.min(MOST_LAYERS));
    }
    assert!(Mapped::of(&memory).all() == expected);
}

#[test]
fn a_layer_has_no_more_parts_than_a_machine_can_map() {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryFiles::of(folder.path(), MOST_LAYERS);
    let (distance, page) = (LAYER_GAP_BYTES * 4, PAGE as u64);
    let memory_bytes = distance * (MOST_PARTS as u64 + 1);
    let every = |offset: u64| -> Vec<Range<u64>> {
        let starts = (0..MOST_PARTS as u64).map(|number| number * distance + offset);
        starts.map(|start| start..start + page).collect()
    };
    let last = every(0);
    write_table(&File::create(memory.last()).unwrap(), memory_bytes, &last).unwrap();

    let same = Plan::of(&memory, last.clone(), memory_bytes).unwrap();
    assert_eq!((same.replaces, same.below), (true, MOST_LAYERS - 1));
    assert_eq!((&same.copied, &same.parts), (&last, &last));

    let own = every(distance / 2);
    let both = Plan::of(&memory, own.clone(), memory_bytes).unwrap();
    assert!(!both.replaces && both.parts.len() <= MOST_PARTS, "{}", both.parts.len());
    // All of it is copied: what lies in a gap that was closed is in neither layer.
    assert_eq!(both.copied, both.parts);
    let is_in = |part: &Range<u64>| {
        both.parts.iter().any(|whole| whole.start <= part.start && part.end <= whole.end)
    };
    assert!(last.iter().chain(&own).all(is_in));
}

/// Numbers that look random and are the same each time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn without_room_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (memory, _) = whole(folder.path(), "whole", 8);
    let mut mapped = Mapped::of(&memory);
    mapped.page(1).fill(1);
    let to = made(folder.path(), "to");
    let refused = save(std::process::id(), &memory, &to, 10);
    let Err(MemoryError::NoRoom { needed_bytes: 4096, room_bytes: 10 }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(fs::read_dir(to).unwrap().count(), 0);
}

#[test]
fn what_is_not_mapped_whole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (memory, _) = whole(folder.path(), "whole", 8);
    let to = made(folder.path(), "to");
    let refuse = |memory: &MemoryFiles| save_of(memory, &to).unwrap_err();
    assert!(matches!(refuse(&memory), MemoryError::NotMapped));
    let mapped = Mapped::of(&memory);
    // A layer that it does not map: what it has would be an older memory.
    let more = MemoryFiles::of(&folder.path().join("whole"), 1);
    let layer = File::create(more.last()).unwrap();
    write_table(&layer, 8 * PAGE as u64, &[0..PAGE as u64]).unwrap();
    assert!(matches!(refuse(&more), MemoryError::NotMapped));
    // SAFETY: the last page of the mapping, which nothing has looked at.
    unsafe { libc::munmap(mapped.address.add(7 * PAGE).cast(), PAGE) };
    assert!(matches!(refuse(&memory), MemoryError::NotMapped));
}

#[test]
fn the_old_page_map_and_the_new_one_agree() {
    let folder = tempfile::tempdir().unwrap();
    let (memory, _) = whole(folder.path(), "whole", PAGES);
    let mut mapped = Mapped::of(&memory);
    for number in (0..PAGES).filter(|number| number % 7 < 3) {
        mapped.page(number).fill(5);
    }
    let pagemap = Pagemap::open(std::process::id()).unwrap();
    let start = mapped.address as u64;
    let within = start..start + (PAGES * PAGE) as u64;
    let old = pagemap.read(within.clone(), Which::Own).unwrap();
    assert_eq!(old.len(), PAGES.div_ceil(7));
    assert_eq!(pagemap.own_pages(within.clone()).unwrap(), old);
    let old = pagemap.read(within.clone(), Which::Touched).unwrap();
    assert_eq!(pagemap.touched_pages(within).unwrap(), old);
}
