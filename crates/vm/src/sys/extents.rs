//! How much of what a file holds is its own, and how much other files hold as well
//! (`FS_IOC_FIEMAP`; Documentation/filesystems/fiemap.rst).

use std::fs::File;
use std::io;
use std::ops::Add;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The request and its structures (linux/fiemap.h).
const FS_IOC_FIEMAP: libc::c_ulong = 0xc020_660b;
const FIEMAP_EXTENT_LAST: u32 = 0x1;
const FIEMAP_EXTENT_SHARED: u32 = 0x2000;
/// How many extents are asked for at once: 14 KiB.
const AT_ONCE: usize = 256;
const BLOCK_BYTES: u64 = 512;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved_64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

#[repr(C)]
struct Map {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [Extent; AT_ONCE],
}

/// What files hold of a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Free when they are removed, in bytes.
    pub own_bytes: u64,
    /// What others hold, too, in bytes.
    pub shared_bytes: u64,
}

impl Add for Held {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            own_bytes: self.own_bytes + other.own_bytes,
            shared_bytes: self.shared_bytes + other.shared_bytes,
        }
    }
}

/// What the file at `path` holds. A file with other names is shared, whole: removing one
/// name frees nothing. At most `budget` extents are looked at, of which this takes those of
/// the file; `None` where there were more, or none are left.
///
/// # Errors
/// `EOPNOTSUPP` where the file system cannot tell; else what it said.
pub fn held(path: &Path, budget: &mut usize) -> io::Result<Option<Held>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.nlink() > 1 {
        let shared_bytes = metadata.blocks() * BLOCK_BYTES;
        return Ok(Some(Held { own_bytes: 0, shared_bytes }));
    }
    if *budget == 0 {
        return Ok(None);
    }
    let mut held = Held::default();
    let mut map = Map {
        start: 0,
        length: 0,
        flags: 0,
        mapped: 0,
        count: AT_ONCE as u32,
        reserved: 0,
        extents: [Extent::default(); AT_ONCE],
    };
    loop {
        map.length = u64::MAX - map.start;
        // SAFETY: the structure is the one that the request names, with room for as many
        // extents as its count says, and outlives the call.
        let outcome = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut map) };
        super::checked(outcome.into())?;
        let found = &map.extents[..(map.mapped as usize).min(AT_ONCE)];
        let Some(last) = found.last() else { return Ok(Some(held)) };
        for extent in found {
            let is_shared = extent.flags & FIEMAP_EXTENT_SHARED != 0;
            let sum = if is_shared { &mut held.shared_bytes } else { &mut held.own_bytes };
            *sum += extent.length;
        }
        let (is_enough, is_last) = (*budget >= found.len(), last.flags & FIEMAP_EXTENT_LAST != 0);
        *budget = budget.saturating_sub(found.len());
        if !is_enough {
            return Ok(None);
        }
        if is_last {
            return Ok(Some(held));
        }
        map.start = last.logical + last.length;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::process::Command;

    use super::*;
    use crate::sys::reflink;
    use crate::sys::test_disk::Xfs;

    const MIB: u64 = 1 << 20;

    fn look(path: &Path) -> Held {
        held(path, &mut 100_000).unwrap().unwrap()
    }

    fn synced(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).unwrap();
        File::open(path).unwrap().sync_all().unwrap();
    }

    #[test]
    fn what_a_copy_wrote_is_its_own_and_the_rest_is_shared() {
        let disk = Xfs::new();
        let (first, copy) = (disk.path().join("first"), disk.path().join("copy"));
        synced(&first, &vec![7; 4 * MIB as usize]);
        assert_eq!(look(&first), Held { own_bytes: 4 * MIB, shared_bytes: 0 });

        reflink::clone_file(&first, &copy).unwrap();
        assert_eq!(look(&first), Held { own_bytes: 0, shared_bytes: 4 * MIB });
        let file = File::options().write(true).open(&copy).unwrap();
        file.write_all_at(&vec![8; MIB as usize], MIB).unwrap();
        file.sync_all().unwrap();
        for path in [&first, &copy] {
            let held = look(path);
            assert_eq!(held.own_bytes + held.shared_bytes, 4 * MIB);
            // As coarse as the file system's copies are.
            assert!((MIB..2 * MIB).contains(&held.own_bytes), "{held:?}");
        }

        // Of two names of one file, each holds nothing alone.
        fs::hard_link(&copy, disk.path().join("other")).unwrap();
        assert_eq!(look(&copy).own_bytes, 0);
        fs::remove_file(disk.path().join("other")).unwrap();

        // The other one gone, all of it is its own.
        fs::remove_file(&first).unwrap();
        let freed = Command::new("sync").arg("-f").arg(disk.path()).status().unwrap();
        assert!(freed.success());
        let is_own = |_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            look(&copy) == Held { own_bytes: 4 * MIB, shared_bytes: 0 }
        };
        assert!((0..100).any(is_own), "{:?}", look(&copy));
    }

    #[test]
    fn a_file_of_many_pieces_is_looked_at_as_far_as_the_budget_goes() {
        let disk = Xfs::new();
        let path = disk.path().join("file");
        let file = File::create(&path).unwrap();
        let pieces = 3 * AT_ONCE as u64;
        // Nothing is put at its end, where the file system would take more ahead.
        file.set_len(pieces * 8192).unwrap();
        for piece in 0..pieces {
            file.write_all_at(&[1; 4096], piece * 8192).unwrap();
        }
        file.sync_all().unwrap();
        assert_eq!(look(&path).own_bytes, pieces * 4096);
        let mut budget = AT_ONCE;
        assert_eq!((held(&path, &mut budget).unwrap(), budget), (None, 0));
        assert_eq!(held(&path, &mut budget).unwrap(), None);
        let mut budget = pieces as usize;
        assert!(held(&path, &mut budget).unwrap().is_some() && budget == 0);
        let empty = disk.path().join("empty");
        synced(&empty, b"");
        assert_eq!(look(&empty), Held::default());
    }
}
