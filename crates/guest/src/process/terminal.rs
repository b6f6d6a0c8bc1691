//! Starting a program on a terminal of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use pando_guest_protocol::session::Exec;
use pando_guest_protocol::terminal::{Size, Terminal};
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};
use rustix::io::Errno;
use rustix::process::ioctl_tiocsctty;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;

use super::reaper::{self, Child, Group};
use super::spawn::{SpawnError, prepare, start_error};
use super::users;
use super::workload::MayStart;

/// What a program takes the terminal for, where the request does not say.
const TERM: &str = "xterm-256color";
/// The group of terminals on Debian, whose members may write to them (`mesg`).
const TTY_GROUP: u32 = 5;

/// A program and the agent's end of its terminal.
#[derive(Debug)]
pub struct OnTerminal {
    /// The program; it leads the terminal's session.
    pub child: Child,
    /// What it is typed at and writes to.
    pub master: Master,
}

/// Starts a program on a new terminal. Dropping the master hangs the terminal up.
///
/// # Errors
/// [`SpawnError`]; nothing is left running.
pub fn on_terminal(terminal: &Terminal, _: MayStart) -> Result<OnTerminal, SpawnError> {
    let user = users::find(terminal.user.as_deref())?
        .ok_or_else(|| SpawnError::UnknownUser(terminal.user.clone().unwrap_or_default()))?;
    let shell = || vec![user.shell.clone()];
    let mut exec = Exec {
        argv: if terminal.argv.is_empty() { shell() } else { terminal.argv.clone() },
        cwd: terminal.cwd.clone(),
        env: terminal.env.clone(),
        user: terminal.user.clone(),
        timeout_ms: None,
        detached_log: None,
        log_name: None,
        root: None,
    };
    exec.env.entry("TERM".into()).or_insert_with(|| TERM.into());
    let mut command = prepare(&exec)?;

    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let pair = || -> io::Result<(OwnedFd, OwnedFd)> {
        let master = openpt(flags)?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        if rustix::process::geteuid().is_root() {
            // So that the program may open it by name.
            fchown(&slave, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(TTY_GROUP)))?;
            fchmod(&slave, Mode::RUSR | Mode::WUSR | Mode::WGRP)?;
        }
        Ok((master, slave))
    };
    let (master, slave) = pair()?;
    let master = Master::new(master)?;
    master.resize(terminal.size)?;
    command.stdin(Stdio::from(slave.try_clone()?));
    command.stdout(Stdio::from(slave.try_clone()?)).stderr(Stdio::from(slave));
    // SAFETY: one system call on standard input, which is the terminal by now. It
    // comes after `prepare`'s own step, which has made the child lead a session.
    unsafe { command.pre_exec(|| Ok(ioctl_tiocsctty(rustix::stdio::stdin())?)) };
    let (_, child) = reaper::spawn(&mut command, Group::LivesOn).map_err(start_error(&exec))?;
    Ok(OnTerminal { child, master })
}

/// The agent's end of a terminal.
#[derive(Debug)]
pub struct Master(AsyncFd<OwnedFd>);

impl Master {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        // SAFETY: an `OwnedFd` is open, and stays the same descriptor, for as long as it exists.
        Ok(Self(unsafe { AsyncFd::register(fd) }?))
    }

    /// Some of what was written to the terminal; 0 when nobody has it open any more.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match rustix::io::read(self.0.get_ref(), &mut *buffer) {
                Ok(count) => return Ok(count),
                // How Linux says that the other end is closed.
                Err(Errno::IO) => return Ok(0),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Types at the terminal; waits while its program does not read.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            match rustix::io::write(self.0.get_ref(), bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Changes its size; the program is told by the kernel (SIGWINCH).
    pub fn resize(&self, size: Size) -> io::Result<()> {
        let size = Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(tcsetwinsize(self.0.get_ref(), size)?)
    }
}
