//! Starting an interpreter with a line of its own to the agent, beside its outputs.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use pando_guest_protocol::session::Exec;
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::reaper::{self, Child, Group};
use super::spawn::{SpawnError, outputs, prepare, start_error};
use super::workload::MayStart;

/// A running interpreter and the agent's ends.
#[derive(Debug)]
pub struct Interpreter {
    /// The interpreter.
    pub child: Child,
    /// Where it is told what to run and says how that went.
    pub channel: UnixStream,
    /// What it writes.
    pub stdout: pipe::Receiver,
    /// What it complains.
    pub stderr: pipe::Receiver,
}

/// Starts an interpreter without input. Its end of the channel is the descriptor
/// whose number `variable` holds in its environment.
///
/// # Errors
/// [`SpawnError`]; nothing is left running.
pub fn interpreter(mut exec: Exec, variable: &str, _: MayStart) -> Result<Interpreter, SpawnError> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    exec.env.insert(variable.to_owned(), theirs.as_raw_fd().to_string());
    let mut command = prepare(&exec)?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: one system call between fork and exec, on a descriptor that the closure keeps open.
    unsafe {
        command.pre_exec(move || Ok(fcntl_setfd(theirs.as_fd(), FdFlags::empty())?));
    }
    let (mut streams, child) =
        reaper::spawn(&mut command, Group::LivesOn).map_err(start_error(&exec))?;
    let (stdout, stderr) = outputs(&mut streams)?;
    let channel = UnixStream::from_std(ours)?;
    Ok(Interpreter { child, channel, stdout, stderr })
}
