//! Telling what is below a file system that it no longer uses what is free (`FITRIM`,
//! fstrim(8)): of a loop device, holes in its file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// `FITRIM` and its structure (linux/fs.h).
const FITRIM: libc::c_ulong = 0xc018_5879;

#[repr(C)]
struct TrimRange {
    start: u64,
    length: u64,
    smallest: u64,
}

/// What is smaller is left, in bytes: it is much work for little room.
const SMALLEST_BYTES: u64 = 256 << 10;

/// Trims all that is free in the file system mounted at `mount`.
///
/// # Errors
/// `EOPNOTSUPP` where what is below cannot do it; else what the kernel said.
pub fn trim(mount: &Path) -> io::Result<()> {
    let root = File::open(mount)?;
    let mut range = TrimRange { start: 0, length: u64::MAX, smallest: SMALLEST_BYTES };
    // SAFETY: the structure is the one that the request names, and outlives the call.
    let outcome = unsafe { libc::ioctl(root.as_raw_fd(), FITRIM, &raw mut range) };
    super::checked(outcome.into())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::sys::test_disk::Xfs;

    #[test]
    fn what_was_removed_is_given_back() {
        const BYTES: usize = 64 << 20;
        let mounted = Xfs::new();
        let file = mounted.path().join("file");
        fs::write(&file, vec![7; BYTES]).unwrap();
        File::open(&file).unwrap().sync_all().unwrap();
        fs::remove_file(&file).unwrap();
        let freed = Command::new("sync").arg("-f").arg(mounted.path()).status().unwrap();
        assert!(freed.success());
        let before = mounted.taken_bytes();
        // The file system frees what was removed in its own time.
        for _ in 0..100 {
            match trim(mounted.path()) {
                // What is below this folder makes no holes.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => return,
                other => other.unwrap(),
            }
            if before - mounted.taken_bytes() >= BYTES as u64 / 2 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{} bytes are taken, {before} before", mounted.taken_bytes());
    }
}
