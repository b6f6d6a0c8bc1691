//! Against a mapping of this process, on a file system that can share blocks where
//! there is one.

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::sys::pagemap::Which;

const PAGE: usize = 4096;
const PAGES: usize = 1024;

/// A private mapping of a whole file.
struct Mapped {
    address: *mut u8,
    bytes: usize,
}

impl Mapped {
    fn of(path: &Path) -> Self {
        let file = File::open(path).unwrap();
        let bytes = file.metadata().unwrap().len() as usize;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE);
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, protection, flags, file.as_raw_fd(), 0)
        };
        assert_ne!(address, libc::MAP_FAILED);
        Self { address: address.cast(), bytes }
    }

    fn page(&mut self, number: usize) -> &mut [u8] {
        assert!((number + 1) * PAGE <= self.bytes);
        // SAFETY: within the mapping, which is ours alone while `self` is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.address.add(number * PAGE), PAGE) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: nothing borrows of it any more.
        unsafe { libc::munmap(self.address.cast(), self.bytes) };
    }
}

/// A folder whose files can share blocks, on an XFS of its own where need be (which
/// takes root, as the tests of other parts of this crate do).
struct Folder {
    dir: tempfile::TempDir,
    mounted: Option<std::path::PathBuf>,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        if reflink::works_in(dir.path()).unwrap() {
            return Self { dir, mounted: None };
        }
        let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
        File::create(&image).unwrap().set_len(512 << 20).unwrap();
        fs::create_dir(&mount).unwrap();
        run("mkfs.xfs", &["-q".as_ref(), "-m".as_ref(), "reflink=1".as_ref(), &image]);
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &mount]);
        Self { dir, mounted: Some(mount) }
    }

    fn path(&self) -> &Path {
        self.mounted.as_deref().unwrap_or(self.dir.path())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(mount) = &self.mounted {
            run("umount", &[mount]);
        }
    }
}

fn run(program: &str, arguments: &[&Path]) {
    let status = std::process::Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program}");
}

fn base(folder: &Path, pages: usize) -> (std::path::PathBuf, Vec<u8>) {
    let bytes: Vec<u8> = (0..pages * PAGE).map(|index| (index / PAGE + index) as u8).collect();
    let path = folder.join("base");
    fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

#[test]
fn what_was_written_is_over_what_was_not() {
    let folder = Folder::new();
    let (path, mut expected) = base(folder.path(), PAGES);
    let mut mapped = Mapped::of(&path);
    let mut write = |number: usize, byte: u8| {
        mapped.page(number).fill(byte);
        expected[number * PAGE..(number + 1) * PAGE].fill(byte);
    };
    for number in [0, 1, 3, 500, PAGES - 1] {
        write(number, (number % 200) as u8 + 1);
    }
    // Alone a zero page is written, many are a hole.
    write(7, 0);
    (600..700).for_each(|number| write(number, 0));
    // Read, but not written.
    assert_eq!(mapped.page(9)[0], expected[9 * PAGE]);

    let target = folder.path().join("saved");
    let saved = save(std::process::id(), &path, &target, u64::MAX).unwrap();
    let page = PAGE as u64;
    assert_eq!((saved.written_bytes, saved.hole_bytes), (6 * page, 100 * page));
    // What was used is in there, written or only read, in few parts.
    let is_touched = |number: usize| {
        let at = number as u64 * page;
        saved.touched.iter().any(|part| part.contains(&at))
    };
    assert!([0, 1, 3, 7, 9, 500, 650, PAGES - 1].into_iter().all(is_touched));
    assert!(!is_touched(800), "{:?}", saved.touched);
    warm(&target, &saved.touched).unwrap();
    assert!(fs::read(&target).unwrap() == expected);
    // A second generation needs nothing of the first.
    fs::remove_file(&path).unwrap();
    drop(mapped);
    let mut child = Mapped::of(&target);
    child.page(2).fill(77);
    expected[2 * PAGE..3 * PAGE].fill(77);
    let second = folder.path().join("second");
    save(std::process::id(), &target, &second, u64::MAX).unwrap();
    fs::remove_file(&target).unwrap();
    assert!(fs::read(&second).unwrap() == expected);
    assert_eq!(fs::metadata(&second).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn without_room_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = base(folder.path(), 8);
    let mut mapped = Mapped::of(&path);
    mapped.page(1).fill(1);
    let target = folder.path().join("saved");
    let refused = save(std::process::id(), &path, &target, 10);
    let Err(MemoryError::NoRoom { needed_bytes: 4096, room_bytes: 10 }) = refused else {
        panic!("{refused:?}")
    };
    assert!(!target.exists());
}

#[test]
fn what_is_not_mapped_whole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = base(folder.path(), 8);
    let target = folder.path().join("saved");
    let refuse = || save(std::process::id(), &path, &target, u64::MAX).unwrap_err();
    assert!(matches!(refuse(), MemoryError::NotMapped));
    let mapped = Mapped::of(&path);
    // SAFETY: the last page of the mapping, which nothing has looked at.
    unsafe { libc::munmap(mapped.address.add(7 * PAGE).cast(), PAGE) };
    assert!(matches!(refuse(), MemoryError::NotMapped));
    assert!(!target.exists());
}

#[test]
fn the_old_page_map_and_the_new_one_agree() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = base(folder.path(), PAGES);
    let mut mapped = Mapped::of(&path);
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

#[test]
fn work_is_cut_into_equal_pieces() {
    let run = |start: u64, bytes: u64| Run { addresses: start..start + bytes, offset: start };
    let large = batches(vec![run(0, 4096), run(8192, 2 * BATCH_BYTES)]);
    let sizes = large.iter().map(|batch| batch.iter().map(Run::bytes).sum::<u64>());
    assert_eq!(sizes.collect::<Vec<_>>(), [BATCH_BYTES, BATCH_BYTES, 4096]);
    let small: Vec<_> = (0..3000).map(|number| run(number * 8192, 4096)).collect();
    let cut = batches(small.clone());
    assert!(cut.iter().all(|batch| batch.len() <= BATCH_PARTS));
    assert_eq!(cut.concat(), small);
}
