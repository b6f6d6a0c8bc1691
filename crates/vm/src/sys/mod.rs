//! The one place for each kernel facility and each outside tool: a safe
//! function with a typed error. Nothing else calls `Command`, `libc` or `rename`.

pub(crate) mod addresses;
pub mod cgroup;
pub(crate) mod clone;
pub mod command;
pub mod durable;
pub mod extents;
pub mod fault;
pub mod host;
pub(crate) mod pagemap;
pub mod process;
pub mod reflink;
pub(crate) mod seccomp;
pub mod socket;
pub(crate) mod tap;
#[cfg(test)]
pub(crate) mod test_disk;
pub mod trim;

use rustix::io::Errno;

/// The result of a C function that answers -1 and sets `errno`.
pub(crate) fn checked(outcome: libc::c_long) -> Result<libc::c_long, Errno> {
    if outcome >= 0 { Ok(outcome) } else { Err(last_error()) }
}

/// What the last C function that failed on this thread said.
pub(crate) fn last_error() -> Errno {
    // SAFETY: every thread has an `errno`.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}
