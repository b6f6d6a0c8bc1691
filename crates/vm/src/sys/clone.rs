//! Making a process (`clone3(2)`): first of a PID namespace of its own, in its
//! cgroup from its first instruction, and known by pidfd.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// Which of the two we are.
pub(crate) enum Cloned {
    Child,
    Parent { pid: u32, pidfd: OwnedFd },
}

/// Makes the process, with all signals blocked in it.
///
/// Being born in a cgroup costs nothing; moving there later takes a lock that
/// waits for every processor of the host.
///
/// # Errors
/// What the kernel said.
///
/// # Safety
/// The child has a copy of this process's memory and of none of its other
/// threads: it must take no lock, so allocate nothing, and end in `exec` or `_exit`.
pub(crate) unsafe fn clone(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: plain integers, for which zeros are a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = (libc::CLONE_NEWPID | libc::CLONE_PIDFD) as u64;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    let blocked = Blocked::all();
    // SAFETY: without CLONE_VM this is a fork; what the child may do then is the
    // caller's to keep to.
    let outcome = unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>())
    };
    if outcome == 0 {
        std::mem::forget(blocked);
        return Ok(Cloned::Child);
    }
    drop(blocked);
    let pid = super::checked(outcome)?;
    // SAFETY: the kernel put a new descriptor there, and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent { pid: u32::try_from(pid).map_err(|_| Errno::OVERFLOW)?, pidfd })
}

/// linux/sched.h; libc's constant does not fit its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Signals are blocked in this thread while it lives: a handler of ours must not
/// run in the child, where its descriptors are still ours.
pub(super) struct Blocked(libc::sigset_t);

impl Blocked {
    pub(super) fn all() -> Self {
        // SAFETY: the sets are plain memory; the calls only fill and read them.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut());
        }
    }
}

/// Gives the child of [`clone`] a new program's ordinary signals.
pub(crate) fn reset_signals() {
    // SAFETY: no handler is set, and the set is plain memory.
    unsafe {
        // Rust ignores it, and what is ignored stays so through `exec`.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}
