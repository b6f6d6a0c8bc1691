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
