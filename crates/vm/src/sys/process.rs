//! Processes that outlive us: found again by their arguments, watched by pidfd
//! (`pidfd_open(2)`), so a recycled process id is never mistaken for them.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Resource, Signal, WaitId, WaitIdOptions, getrlimit, setrlimit,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process by pidfd.
#[derive(Debug)]
pub struct Watched {
    pid: u32,
    pidfd: AsyncFd<OwnedFd>,
    ending: OnceLock<Ending>,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

/// How much of a file in `/proc` is read, in bytes: a VMM's arguments are some 4000.
const MAX_READ_BYTES: u64 = 64 * 1024;

/// How many threads of a process are looked at: a VMM has fewer.
const MAX_THREADS: usize = 1000;

/// Clock ticks a second, as all of `/proc` counts on x86 and arm64 (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// The time in which a process and its threads were on a processor, or were to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// On one.
    pub ran: Duration,
    /// Ready to run, and none was free: of the threads that live.
    pub waited: Duration,
}

/// What a process has worked; `None` when it is gone.
#[must_use]
pub fn worked(pid: u32) -> Option<Work> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let ticks = ticks(&String::from_utf8_lossy(&stat))?;
    let ran = Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND));
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().take(MAX_THREADS);
    let waited = threads.filter_map(|thread| {
        let stat = beginning(thread.path().join("schedstat")).ok()?;
        waited_ns(&String::from_utf8_lossy(&stat))
    });
    Some(Work { ran, waited: Duration::from_nanos(waited.fold(0, u64::saturating_add)) })
}

/// How long a thread was ready and did not run, in `ran waited slices`
/// (Documentation/scheduler/sched-stats.rst).
fn waited_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// User and system time in `pid (name) state …` (`proc(5)`); a name may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    // The manual counts from 1, and what follows the name is its third.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(14 - 3);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    user.checked_add(system)
}

impl Watched {
    /// Watches a live process.
    ///
    /// # Errors
    /// `ESRCH` when it is gone already.
    pub fn open(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Self::from_pidfd(pid, rustix::process::pidfd_open(raw, PidfdFlags::empty())?)
    }

    /// Watches the process behind a pidfd.
    ///
    /// # Errors
    /// What the reactor said.
    pub(crate) fn from_pidfd(pid: u32, pidfd: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` names one open descriptor for as long as it lives.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE)? };
        Ok(Self { pid, pidfd, ending: OnceLock::new() })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns when the process has ended, however often it is asked.
    pub async fn ended(&self) {
        // A pidfd stays readable once its process is a zombie or gone. An error
        // can only mean that the reactor shuts down, and we with it.
        let _ = self.pidfd.readable().await.map(|mut ready| ready.retain_ready());
    }

    /// Lets go of an ended child, and says how it ended; fine, and silent, for one
    /// that is not ours or runs.
    pub fn reap(&self) -> Option<Ending> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let reaped = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options);
        if let Ok(Some(status)) = reaped {
            let exit = status.exit_status().map(Ending::Exit);
            // The kernel tells once; whoever asks later is told by us.
            if let Some(ending) = exit.or(status.terminating_signal().map(Ending::Signal)) {
                let _ = self.ending.set(ending);
            }
        }
        self.ending.get().copied()
    }

    /// Waits for a killed child, holding up this thread for that moment.
    pub(crate) fn wait(&self) {
        let _ = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }

    /// Kills it; fine when it is gone.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn kill(&self) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Lets this process open as many files as it ever may: each machine and each
/// connection takes a few, and the usual limit is 1024 (systemd.exec(5), LimitNOFILE).
///
/// # Errors
/// What the kernel said.
pub fn raise_open_files() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Which process the kernel ends when the host's memory is used up: of those that take
/// as much, the one of the higher score (proc_pid_oom_score_adj(5), -1000 to 1000).
/// Whoever the process starts inherits it.
///
/// # Errors
/// What the kernel said: a lower score than before needs `CAP_SYS_RESOURCE`.
pub fn set_oom_score(pid: u32, score: i16) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string())
}

/// The real user id of a process (proc_pid_status(5)); `None` when it is gone.
#[must_use]
pub fn user(pid: u32) -> Option<u32> {
    let status = beginning(format!("/proc/{pid}/status")).ok()?;
    let ids = String::from_utf8_lossy(&status);
    let ids = ids.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_ascii_whitespace().next()?.parse().ok()
}

/// Every process there is.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn all() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(pids)
}

/// Whether a process sees a mount of a file system of that kind and source
/// (proc_pid_mountinfo(5)); both are without white space.
#[must_use]
pub fn has_mount(pid: u32, kind: &str, source: &str) -> bool {
    let mounts = beginning(format!("/proc/{pid}/mountinfo"));
    // Its first thread may have ended; the others see the same.
    let mounts = mounts.ok().or_else(|| {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().take(MAX_THREADS);
        threads.map(|thread| thread.path().join("mountinfo")).find_map(|path| beginning(path).ok())
    });
    let mounts = mounts.unwrap_or_default();
    let wanted = format!("{kind} {source} ");
    let mounts = String::from_utf8_lossy(&mounts);
    mounts
        .lines()
        .any(|line| line.split_once(" - ").is_some_and(|(_, mounted)| mounted.starts_with(&wanted)))
}

/// Of what `/proc` says of a process as much as is worth looking at: some of it lies in
/// the process's own memory, and may be as long as that (`PR_SET_MM_ARG_END`, prctl(2)).
fn beginning(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The live processes that have `flag VALUE` among their arguments: `(pid, VALUE)`.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn with_argument(program: &str, flag: &str) -> io::Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for pid in all()? {
        // It may end while we look: then it is not live.
        let Ok(line) = beginning(format!("/proc/{pid}/cmdline")) else { continue };
        let mut arguments = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        if arguments.next().is_none_or(|first| !first.ends_with(program)) {
            continue;
        }
        if arguments.by_ref().any(|argument| argument == flag)
            && let Some(value) = arguments.next()
        {
            found.push((pid, value.into_owned()));
        }
    }
    Ok(found)
}

/// Reads the end of a log, at most `limit` bytes, however long it is.
#[must_use]
pub fn tail(path: &Path, limit: u64) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_waited_is_told_apart_from_what_it_ran() {
        assert_eq!(waited_ns("12 34 5\n"), Some(34));
        assert_eq!(waited_ns(""), None);
        assert!(worked(std::process::id()).is_some());
    }

    #[test]
    fn what_a_process_says_without_end_is_read_to_a_bound() {
        assert_eq!(beginning("/dev/zero").unwrap().len() as u64, MAX_READ_BYTES);
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_has_its_mounts() {
        // SAFETY: the child calls nothing but the kernel, through raw calls and the C
        // library's own making of threads; it is killed and reaped below.
        let child = unsafe { libc::fork() };
        if child == 0 {
            std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_secs(60)));
            // SAFETY: ends this thread alone, which is the child's first.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        let pid = u32::try_from(child).unwrap();
        let stat = format!("/proc/{pid}/stat");
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        let seen = has_mount(pid, "proc", "proc");
        // SAFETY: it is our own child.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        assert!(seen);
    }

    #[test]
    fn a_mount_is_known_by_kind_and_source() {
        let pid = std::process::id();
        assert!(has_mount(pid, "proc", "proc"));
        assert!(!has_mount(pid, "proc", "pro"));
        assert!(!has_mount(pid, "tmpfs", "no-such-source"));
    }
}
