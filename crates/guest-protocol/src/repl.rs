//! Code sessions: an interpreter that keeps its state from one cell to the next.
//!
//! The agent owns them, not the host: they outlast a restart of the server, and a
//! copy of the machine holds a copy of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most sessions of one machine at once.
pub const MAX_REPLS: usize = 16;
/// A session in which nothing runs for so long is ended: one hour.
pub const REPL_IDLE_SECS: u64 = 3600;
/// The largest code of one cell.
pub const MAX_CODE_BYTES: usize = 1024 * 1024;
/// The results of one cell that are passed on, in bytes of their JSON.
pub const MAX_RESULT_BYTES: usize = 8 * 1024 * 1024;
/// The results of one cell that are passed on.
pub const MAX_RESULTS: usize = 100;
/// The bytes of a traceback that are passed on.
pub const MAX_ERROR_BYTES: usize = 32 * 1024;

/// The languages that the agent has an interpreter's other end for. The interpreter
/// itself is the template's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Python 3, by `python3`.
    Python,
    /// JavaScript, by `node`.
    Javascript,
    /// The shell, by `bash`.
    Bash,
}

/// A session to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRepl {
    /// What it speaks.
    pub language: Language,
    /// Working directory; the user's home when absent.
    pub cwd: Option<String>,
    /// Added to the base environment.
    pub env: BTreeMap<String, String>,
    /// Name or number; root when absent.
    pub user: Option<String>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repl {
    /// Its id: 32 hex digits.
    pub id: String,
    /// What it speaks.
    pub language: Language,
    /// The interpreter's process id.
    pub pid: u32,
}

/// The sessions there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repls {
    /// In no order.
    pub repls: Vec<Repl>,
}

/// Code to run in a session. The code itself follows as `Data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The session's id.
    pub id: String,
    /// Milliseconds until it is interrupted.
    pub timeout_ms: u64,
}

/// How a cell ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellDone {
    /// 0, or what the language makes of an error; 128 + signal where a signal ended the interpreter.
    pub exit_code: i32,
    /// The error in the language's own words, with its traceback.
    pub error: Option<String>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Whether its session ended with it: its state is gone.
    pub session_ended: bool,
    /// Whether results were left out because there were too many or they were too large.
    pub truncated: bool,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}
