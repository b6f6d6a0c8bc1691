//! Processes that outlive us: started in a session and network namespace of
//! their own, found again by their arguments, watched by pidfd (`pidfd_open(2)`),
//! so a recycled process id is never mistaken for them.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How to start a process.
pub struct Spawn<'a> {
    /// The program.
    pub program: &'a str,
    /// Its arguments.
    pub arguments: &'a [String],
    /// Its working directory.
    pub dir: &'a Path,
    /// Where its standard output and error go; standard input is empty.
    pub log: File,
    /// The network namespace it lives in.
    pub network: BorrowedFd<'a>,
    /// Descriptors it inherits, under the same numbers.
    pub inherited: &'a [BorrowedFd<'a>],
}

impl Spawn<'_> {
    /// Starts it.
    ///
    /// # Errors
    /// What `fork`, `setns` or `execve` said.
    pub fn run(self) -> io::Result<Child> {
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .current_dir(self.dir)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(self.log.try_clone()?)
            .stderr(self.log);
        let network = self.network.as_raw_fd();
        let inherited: Vec<i32> = self.inherited.iter().map(AsRawFd::as_raw_fd).collect();
        let prepare = move || {
            // SAFETY: the descriptors outlive `spawn`, which returns only after
            // this ran in the child; borrowing them there closes nothing.
            let network = unsafe { BorrowedFd::borrow_raw(network) };
            rustix::process::setsid()?;
            rustix::thread::move_into_link_name_space(
                network,
                Some(rustix::thread::LinkNameSpaceType::Network),
            )?;
            for fd in &inherited {
                // SAFETY: as above.
                let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
                rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
            }
            Ok(())
        };
        // SAFETY: `prepare` runs between fork and exec and makes system calls
        // only: no allocation, no lock.
        unsafe { command.pre_exec(prepare) };
        command.spawn()
    }
}

/// A process by pidfd.
#[derive(Debug)]
pub struct Watched {
    pid: u32,
    pidfd: AsyncFd<OwnedFd>,
}

impl Watched {
    /// Watches a live process.
    ///
    /// # Errors
    /// `ESRCH` when it is gone already.
    pub fn open(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let pidfd = rustix::process::pidfd_open(raw, PidfdFlags::empty())?;
        // SAFETY: an `OwnedFd` names one open descriptor for as long as it lives.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE)? };
        Ok(Self { pid, pidfd })
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

/// The live processes that have `flag VALUE` among their arguments: `(pid, VALUE)`.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn with_argument(program: &str, flag: &str) -> io::Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may end while we look: then it is not live.
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
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

/// Reads the last lines of a log, at most `limit` bytes.
#[must_use]
pub fn tail(path: &Path, limit: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let start = bytes.len().saturating_sub(limit);
    String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
}
