//! One control group and its freezer (the kernel's `cgroup-v2.rst`).
//!
//! Every file is opened once, so that no step of a freeze looks up a path.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The kernel tells of a change at once, but not of two within 10 ms: then a look
/// now and again is faster.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
/// `cgroup.events` holds a few short lines.
const EVENTS_BYTES: usize = 256;

/// A group that is not the root.
#[derive(Debug)]
pub struct Group {
    procs: File,
    freeze: File,
    events: File,
}

impl Group {
    /// Makes a group where there is none, and opens it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make(folder: &Path) -> io::Result<Self> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let written = |name| OpenOptions::new().write(true).open(folder.join(name));
        Ok(Self {
            procs: written("cgroup.procs")?,
            freeze: written("cgroup.freeze")?,
            events: File::open(folder.join("cgroup.events"))?,
        })
    }

    /// Moves the calling process into it: one system call, so it may be made between fork and exec.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(&self) -> Result<(), Errno> {
        rustix::io::write(&self.procs, b"0").map(drop)
    }

    /// Stops everything in it; blocks until all of it has stopped.
    ///
    /// # Errors
    /// The kernel's, and `TimedOut` after `limit`. It may be partly frozen then.
    pub fn freeze(&self, limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        rustix::io::pwrite(&self.freeze, b"1", 0)?;
        while !self.is_frozen()? {
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut changed = [PollFd::new(&self.events, PollFlags::PRI)];
            match poll(&mut changed, Some(&LOOK_AGAIN)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Lets everything in it go on; fine when nothing was stopped.
    ///
    /// # Errors
    /// The kernel's.
    pub fn thaw(&self) -> io::Result<()> {
        rustix::io::pwrite(&self.freeze, b"0", 0)?;
        Ok(())
    }

    fn is_frozen(&self) -> io::Result<bool> {
        let mut bytes = [0; EVENTS_BYTES];
        let count = rustix::io::pread(self.events.as_fd(), &mut bytes, 0)?;
        Ok(says_frozen(bytes.get(..count).unwrap_or_default()))
    }
}

/// `populated 1`, `frozen 0`: one key a line.
fn says_frozen(events: &[u8]) -> bool {
    events.split(|byte| *byte == b'\n').any(|line| line == b"frozen 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    #[test]
    fn the_state_is_read_from_its_own_line() {
        assert!(says_frozen(b"populated 1\nfrozen 1\n"));
        assert!(!says_frozen(b"populated 1\nfrozen 0\n"));
        assert!(!says_frozen(b"unfrozen 1\n"));
        assert!(!says_frozen(b""));
    }

    /// A group that goes with the test. `None` where this machine lets nobody make one.
    fn group(name: &str) -> Option<(std::path::PathBuf, Arc<Group>)> {
        let own = format!("pando-guest-test-{}-{name}", std::process::id());
        // The second is where a host that still has groups of the first version keeps them.
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists())?;
        let folder = root.join(own);
        let group = Group::make(&folder).ok()?;
        Some((folder, Arc::new(group)))
    }

    fn remove(folder: &Path) {
        for _ in 0..500 {
            if fs::remove_dir(folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_is_in_it_stops_and_goes_on() {
        let Some((folder, group)) = group("stops") else { return };
        // Nothing in it is frozen at once.
        group.freeze(Duration::from_secs(5)).unwrap();
        group.thaw().unwrap();
        let inside = Arc::clone(&group);
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do echo on; sleep 0.01; done"]).stdout(Stdio::piped());
        // SAFETY: one system call between fork and exec, on a descriptor that the closure keeps open.
        unsafe { command.pre_exec(move || Ok(inside.enter()?)) };
        let mut child = command.spawn().unwrap();
        let frozen = group.freeze(Duration::from_secs(5));
        let held = group.is_frozen();
        let thawed = group.thaw();
        let going = group.is_frozen();
        child.kill().unwrap();
        child.wait().unwrap();
        remove(&folder);
        frozen.unwrap();
        assert!(held.unwrap());
        thawed.unwrap();
        assert!(!going.unwrap());
    }
}
