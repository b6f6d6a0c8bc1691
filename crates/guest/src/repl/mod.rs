//! Code sessions: interpreters that keep their state from one cell to the next.
//!
//! ```text
//! run_cell ──► table ──► a session's task ──channel──► its interpreter
//!                              ▲                            │
//!                              └── outputs, results, done ──┘
//! ```
//!
//! Each session has one task (`session`), which owns its interpreter: it passes one
//! cell at a time, and between cells drops what background threads say into the
//! log. What a cell says is told apart from what an earlier one says late by its
//! number, so that an answer never belongs to another question. A cell that runs
//! out of time, or whose host leaves, is interrupted; an interpreter that does not
//! come back from that is killed, and its session with it.
//!
//! The interpreter's ends (`python.py`, `node.js`, `shell.bash`) travel in the
//! agent, because the two speak a language of their own: whatever copy of a machine
//! they wake up in, they are of one version. They share the interpreter with the
//! code that it runs, so nothing that comes from them is believed beyond its limits.

mod cell;
mod program;
mod session;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pando_guest_protocol::repl::{MAX_REPLS, OpenRepl, Repl, Repls as List};
use pando_guest_protocol::session::{Failure, FailureKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

pub use session::{Said, Start};

use crate::logs::Logs;
use crate::process::SpawnError;

/// Where the interpreters' ends are put: in memory, and whoever a session runs as may read them.
const FOLDER: &str = "/run/pando/repl";

/// Why there is no session, or no cell of it runs.
#[derive(Debug, thiserror::Error)]
pub enum ReplError {
    /// Too many sessions.
    #[error("{MAX_REPLS} code sessions are open, which is the most: close one")]
    Full,
    /// No such session.
    #[error("no code session `{0}`: it was closed, its interpreter ended, or it was idle too long")]
    Unknown(String),
    /// A cell of it runs already.
    #[error("a cell is running in this session: wait for it, or open another session")]
    Busy,
    /// The interpreter could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It started, and did not come up.
    #[error("the interpreter did not come up: {0}")]
    Silent(String),
}

impl From<ReplError> for Failure {
    fn from(error: ReplError) -> Self {
        let kind = match error {
            ReplError::Spawn(error) => return error.into(),
            ReplError::Full => FailureKind::Busy,
            ReplError::Unknown(_) => FailureKind::NotFound,
            ReplError::Busy => FailureKind::Conflict,
            ReplError::Silent(_) => FailureKind::Other,
        };
        Self { kind, message: error.to_string() }
    }
}

/// The way to a session's task.
#[derive(Debug)]
struct Handle {
    shown: Repl,
    starts: mpsc::Sender<Start>,
    /// Held while a cell runs.
    turn: Arc<Semaphore>,
    /// Ends the task, and with it the interpreter and its process group.
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<String, Handle>,
    /// Sessions whose interpreter is being started.
    opening: usize,
}

/// All sessions of the machine.
#[derive(Debug)]
pub struct Repls {
    table: Mutex<Table>,
    folder: PathBuf,
}

impl Default for Repls {
    fn default() -> Self {
        Self::with_folder(FOLDER.into())
    }
}

impl Repls {
    /// Sessions whose interpreters' ends are put into `folder`.
    pub fn with_folder(folder: PathBuf) -> Self {
        Self { table: Mutex::default(), folder }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a session; returns when it takes cells.
    ///
    /// # Errors
    /// [`ReplError`] as a failure; nothing is left running.
    pub async fn open(self: &Arc<Self>, open: OpenRepl, logs: &Arc<Logs>) -> Result<Repl, Failure> {
        let place = Place::take(self)?;
        let language = open.language;
        let interpreter = program::start(open, self.folder.clone()).await?;
        let running = session::Session::start(interpreter, logs).await?;
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| ReplError::Silent(error.to_string()))?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = Repl { id: id.clone(), language, pid: running.pid() };
        let (starts, receiver) = mpsc::channel(1);
        let (table, own) = (Arc::downgrade(self), id.clone());
        // The table is locked until the session stands in it, so that one which ends at once is taken out.
        let mut locked = self.table();
        let task = tokio::spawn(async move {
            running.serve(receiver).await;
            if let Some(repls) = table.upgrade() {
                repls.table().sessions.remove(&own);
            }
        });
        let turn = Arc::new(Semaphore::new(1));
        let handle = Handle { shown: shown.clone(), starts, turn, task: task.abort_handle() };
        locked.sessions.insert(id, handle);
        drop(locked);
        drop(place);
        Ok(shown)
    }

    /// The way into a session that no cell runs in.
    ///
    /// # Errors
    /// [`ReplError::Unknown`], [`ReplError::Busy`].
    pub fn turn(&self, id: &str) -> Result<Turn, ReplError> {
        let table = self.table();
        let unknown = || ReplError::Unknown(id.chars().take(64).collect());
        let handle = table.sessions.get(id).ok_or_else(unknown)?;
        let permit = Arc::clone(&handle.turn).try_acquire_owned().map_err(|_| ReplError::Busy)?;
        Ok(Turn { starts: handle.starts.clone(), _permit: permit })
    }

    /// Ends a session and what it runs.
    ///
    /// # Errors
    /// [`ReplError::Unknown`].
    pub fn close(&self, id: &str) -> Result<(), ReplError> {
        let handle = self.table().sessions.remove(id);
        let handle = handle.ok_or_else(|| ReplError::Unknown(id.chars().take(64).collect()))?;
        handle.task.abort();
        Ok(())
    }

    /// The sessions there are.
    pub fn list(&self) -> List {
        let table = self.table();
        List { repls: table.sessions.values().map(|handle| handle.shown.clone()).collect() }
    }
}

/// The right to run one cell.
#[derive(Debug)]
pub struct Turn {
    starts: mpsc::Sender<Start>,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// Starts the cell. False when the session has just ended.
    pub async fn start(&self, start: Start) -> bool {
        self.starts.send(start).await.is_ok()
    }
}

/// A place among the sessions, while one is being started.
struct Place<'a>(&'a Repls);

impl<'a> Place<'a> {
    fn take(repls: &'a Repls) -> Result<Self, ReplError> {
        let mut table = repls.table();
        if table.sessions.len() + table.opening >= MAX_REPLS {
            return Err(ReplError::Full);
        }
        table.opening += 1;
        Ok(Self(repls))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.table().opening -= 1;
    }
}
