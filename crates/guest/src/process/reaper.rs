//! The one place where children are waited for.
//!
//! PID 1 inherits every orphan, so somebody must wait for *any* child; whoever
//! does would take the exit status from code that waits for one child. So nobody
//! else waits: one thread reaps all, and hands the status of a child that was
//! started here to its [`Child`].
//!
//! The table's lock is held from before a child starts until it is entered, and
//! while children are reaped. So no child is reaped before it is known, and as
//! long as it is in the table its id cannot belong to another process: signals
//! are sent only then.
//!
//! A thread and not a task, since it can sleep in `waitid` without any signal
//! handling, and reaps while the runtime is busy.

use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process_group,
    test_kill_process_group, wait, waitid,
};
use tokio::sync::oneshot;

use crate::sys::log;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl Exit {
    /// The exit code as shells count it: 128 + signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    fn of(status: WaitStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            // Neither happens: children are waited for only when they have ended.
            (None, None) => Self::Signal(Signal::KILL.as_raw()),
        }
    }
}

struct Entry {
    exit: oneshot::Sender<Exit>,
    group: Group,
}

/// What becomes of the rest of a child's process group when the child ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    LivesOn,
    EndsToo,
}

struct Table {
    children: HashMap<Pid, Entry>,
    reaper: Reaper,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reaper {
    NotStarted,
    Started,
}

static TABLE: LazyLock<Mutex<Table>> =
    LazyLock::new(|| Mutex::new(Table { children: HashMap::new(), reaper: Reaper::NotStarted }));
/// A child was started.
static SPAWNED: Condvar = Condvar::new();
/// No child is left.
static CHILDLESS: Condvar = Condvar::new();

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that leads its own process group. Dropping it before it has ended kills the group.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    exit: oneshot::Receiver<Exit>,
}

impl Child {
    /// Waits until it has ended. To be called until it has returned once, not after. Cancel-safe.
    pub async fn exit(&mut self) -> Exit {
        // The sender leaves the table only by sending.
        (&mut self.exit).await.unwrap_or(Exit::Signal(Signal::KILL.as_raw()))
    }

    /// Its process id, which is also its process group and session.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends its group a signal, unless the child itself has ended.
    pub fn signal(&self, signal: Signal) {
        if table().children.contains_key(&self.pid) {
            signal_group(self.pid, signal);
        }
    }

    /// Asks its group to end. What is left of the group when the child itself has ended is killed.
    pub fn terminate(&self) {
        if let Some(entry) = table().children.get_mut(&self.pid) {
            entry.group = Group::EndsToo;
            signal_group(self.pid, Signal::TERM);
        }
    }

    /// Asks its group to end. What is left of the group when the child itself has ended goes on
    /// ending in its own time: see [`Self::rest`].
    pub fn ask_to_end(&self) {
        if let Some(entry) = table().children.get_mut(&self.pid) {
            entry.group = Group::LivesOn;
            signal_group(self.pid, Signal::TERM);
        }
    }

    /// Kills its group, unless the child itself has ended.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// What is left of its group, once it has ended itself.
    pub fn rest(&self) -> Rest {
        Rest(self.pid)
    }
}

/// A group whose leader has ended. To be asked at short intervals until it is gone, and not
/// after: ids are given out in turn, so until then this one belongs to nobody else.
#[derive(Debug)]
pub struct Rest(Pid);

impl Rest {
    /// Whether nothing of it is left.
    pub fn is_gone(&self) -> bool {
        test_kill_process_group(self.0).is_err()
    }

    /// Ends it.
    pub fn kill(&self) {
        signal_group(self.0, Signal::KILL);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a child with a handle. The standard library's own is left with it for
/// its pipes; it must not be waited for. `command` must make it lead a group.
pub(super) fn spawn(
    command: &mut Command,
    group: Group,
) -> io::Result<(std::process::Child, Child)> {
    let mut table = ready_table()?;
    let child = command.spawn()?;
    let pid = Pid::from_child(&child);
    let (sender, exit) = oneshot::channel();
    table.children.insert(pid, Entry { exit: sender, group });
    SPAWNED.notify_all();
    Ok((child, Child { pid, exit }))
}

/// Starts a child that nobody will ask about; it is only reaped. The standard
/// library's handle is for its pipes, as with [`spawn`].
pub fn spawn_detached(command: &mut Command) -> io::Result<std::process::Child> {
    let _table = ready_table()?;
    let child = command.spawn()?;
    SPAWNED.notify_all();
    Ok(child)
}

/// Signals every process but this one. For PID 1 only.
pub fn signal_everyone(signal: Signal) {
    // A group of 1 becomes `kill(-1, …)`, which means everyone whom the caller may signal.
    signal_group(Pid::INIT, signal);
}

/// Blocks until there are no children, which for PID 1 means no other processes;
/// for `limit` at most.
pub fn wait_until_childless(limit: Duration) {
    let guard = table();
    if has_children() {
        // The answer is the same either way: the caller goes on.
        let _unused = CHILDLESS.wait_timeout_while(guard, limit, |_| has_children());
    }
}

fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

fn signal_group(leader: Pid, signal: Signal) {
    match kill_process_group(leader, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => log::error(format_args!("signal to group {leader:?}: {error}")),
    }
}

/// The table, with the reaper at work on it.
fn ready_table() -> io::Result<MutexGuard<'static, Table>> {
    let mut table = table();
    if table.reaper == Reaper::NotStarted {
        // Never joined: it lives as long as PID 1.
        std::thread::Builder::new().name("reaper".into()).spawn(reap_forever)?;
        table.reaper = Reaper::Started;
    }
    Ok(table)
}

fn reap_forever() {
    loop {
        // NOWAIT leaves the zombie, and so its id, until the table is locked.
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) | Err(Errno::INTR) => reap(table()),
            Err(_) => {
                // No children. An orphan can come only from a child, so the next one is spawned here.
                let table = table();
                if has_children() {
                    continue;
                }
                CHILDLESS.notify_all();
                drop(SPAWNED.wait(table));
            }
        }
    }
}

fn reap(mut table: MutexGuard<'_, Table>) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        let Some(entry) = table.children.remove(&pid) else {
            continue;
        };
        if entry.group == Group::EndsToo {
            // Ids are given out in turn, so this one is not in use again within a few instructions.
            signal_group(pid, Signal::KILL);
        }
        // Whoever would have asked may be gone.
        let _unused = entry.exit.send(Exit::of(status));
    }
}
