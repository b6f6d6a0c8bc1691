//! Sessions: one TCP connection, one operation.
//!
//! The host sends a [`Request`] in a frame of kind [`Kind::Request`](crate::frame::Kind);
//! what follows depends on the operation:
//!
//! | operation | host then sends | guest sends |
//! | --- | --- | --- |
//! | `exec` | `Data` (stdin) …, `End`; `Signal` at any time | `Stdout`, `Stderr` …, then `Reply` ([`ExecDone`]) |
//! | `exec` detached | — | `Reply` ([`Started`]) |
//! | `terminal` | `Data` (typed) and `Resize` …, at any time | `Stdout` …, then `Reply` ([`ExecDone`]) |
//! | `logs` | — | `Data` (whole JSON [`LogLines`](crate::log::LogLines) objects, one a line) …, `End` unless it follows |
//! | `processes` | — | `Data` (whole JSON [`Process`](crate::machine::Process) objects, one a line) …, `End` |
//! | `run_cell` | `Data` (the code) …, `End` | `Stdout`, `Stderr`, `Data` (JSON mime bundles, one a line, in pieces) …, then `Reply` ([`CellDone`](crate::repl::CellDone)) |
//! | `read_file` | — | `Reply` ([`Entry`]), `Data` …, `End` |
//! | `write_file` | `Data` …, `End` | `Reply` ([`Written`]) |
//! | `list` | — | `Data` (whole JSON [`Entry`] objects, one a line) …, `End` |
//! | `stat`, `make_dir`, `rename`, `remove`, `ports`, `stats`, `open_repl`, `close_repl`, `list_repls`, `supervise`, `list_supervised`, `ping` | — | `Reply` |
//! | `relay` | raw bytes after the guest's `Reply` | `Reply`, then raw bytes |
//!
//! While a `list`, `remove`, `open_repl` or `supervise` is worked on, `Data` of no bytes comes every
//! [`BEAT_SECS`] and says that it goes on.
//!
//! Any `Failed` frame ([`Failure`]) ends a session. When the host closes an
//! `exec` session, the agent kills that command's process group; a `terminal`'s
//! whole session is hung up; a cell that runs is interrupted.
//! When the machine is restored instead (as a copy, or woken), its host is gone
//! without having given anything up: what runs goes on by itself.
//! A host that gives one up while input is under way resets the connection: a
//! plain close waits behind bytes that the command may never read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::log::LogQuery;
use crate::repl::{Cell, OpenRepl};
use crate::supervise::Supervise;
use crate::terminal::Terminal;

/// The version of this protocol. The agent takes this one and the one before it.
pub const PROTOCOL: u32 = 1;

/// The most sessions that the agent serves at once; one more is told [`FailureKind::Busy`].
pub const MAX_SESSIONS: usize = 512;

/// How often the agent says of work that takes a while that it goes on.
pub const BEAT_SECS: u64 = 5;

/// What the host asks. The first frame of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The token of the last restore or attach.
    pub token: String,
    /// What to do.
    pub operation: Operation,
}

/// What a session does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Operation {
    /// Run a command.
    Exec(Exec),
    /// Run a program on a terminal of its own.
    Terminal(Terminal),
    /// What commands have said, and what they go on to say.
    Logs(LogQuery),
    /// What runs.
    Processes,
    /// How much of the machine is in use; answered after a short sample.
    Stats,
    /// Start a code session.
    OpenRepl(OpenRepl),
    /// Run code in a session.
    RunCell(Cell),
    /// End a code session, and what it runs.
    CloseRepl {
        /// Which one.
        id: String,
    },
    /// The code sessions there are.
    ListRepls,
    /// Keep these processes running, and no others; answered when those that had to end have.
    Supervise(Supervise),
    /// How those processes are.
    ListSupervised,
    /// Send a file's bytes.
    ReadFile {
        /// Absolute path.
        path: String,
    },
    /// Replace a file's bytes; parents are made. The new content is written beside it and renamed over it.
    WriteFile {
        /// Absolute path.
        path: String,
        /// Permission bits of a file that is made new.
        mode: u32,
    },
    /// A directory's entries.
    List {
        /// Absolute path.
        path: String,
    },
    /// One entry (links are not followed).
    Stat {
        /// Absolute path.
        path: String,
    },
    /// Make a directory and its parents; fine when it is there.
    MakeDir {
        /// Absolute path.
        path: String,
    },
    /// Rename within the guest.
    Rename {
        /// Absolute path.
        from: String,
        /// Absolute path; replaced if it exists.
        to: String,
    },
    /// Remove a file, or a directory with all in it.
    Remove {
        /// Absolute path.
        path: String,
        /// Whether a directory may hold something.
        recursive: bool,
    },
    /// The TCP ports that something listens on.
    Ports,
    /// Connect to `127.0.0.1:port`, or else `[::1]:port`, and pass bytes both ways.
    Relay {
        /// The TCP port.
        port: u16,
    },
    /// Answer.
    Ping,
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// The program (looked up in PATH) and its arguments. At least one.
    pub argv: Vec<String>,
    /// Working directory; the user's home when absent.
    pub cwd: Option<String>,
    /// Added to the base environment (PATH, HOME, USER, LANG and what the template sets in `/etc/environment`).
    pub env: BTreeMap<String, String>,
    /// Name or number, and after a colon a group in the place of its own; root when absent.
    pub user: Option<String>,
    /// Milliseconds until its process group is killed; none when absent.
    pub timeout_ms: Option<u64>,
    /// Start it in its own session, answer at once, and let it live on; output goes to this file.
    pub detached_log: Option<String>,
    /// Under which name what it says is kept in the log, as a supervised process of that name
    /// would have it; absent, it is with that of all commands. Not of a detached one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_name: Option<String>,
    /// Absolute path of the folder that it takes for `/`. Program, working directory and
    /// user are looked for in there, and no `/etc/environment` is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecDone {
    /// Exit code, or 128 + signal.
    pub exit_code: i32,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// A signal for a command's process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Its number.
    pub number: i32,
}

/// A detached command was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its process id in the guest, which is also its process group and session.
    pub pid: u32,
}

/// What kind of file an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device.
    Pipe,
    /// A Unix socket.
    Socket,
    /// A block device.
    Block,
    /// A character device.
    Char,
}

/// One file or directory. A name that is not UTF-8 has U+FFFD in place of each bad byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its last component.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Last change, Unix seconds.
    pub mtime_secs: i64,
}

/// A file was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Bytes it now holds.
    pub bytes: u64,
}

/// What listens, in answer to [`Operation::Ports`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// By port.
    pub listeners: Vec<Listener>,
}

/// One listening TCP socket. The agent's own is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The address it is bound to.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: u16,
    /// The name of the program that listens, where it is known.
    #[serde(default)]
    pub process: Option<String>,
}

/// An answer with nothing in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// Why an operation could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, for the host to act on.
    pub kind: FailureKind,
    /// What happened, for a person.
    pub message: String,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No such file, directory or program.
    NotFound,
    /// No such user to run it as.
    NoUser,
    /// No such directory to run it in.
    NoDirectory,
    /// It is there already, or of the wrong kind (a directory where a file is needed).
    Conflict,
    /// The guest's kernel said no (EACCES, EPERM, EROFS).
    Denied,
    /// The guest's disk is full.
    NoSpace,
    /// The request makes no sense (relative path, NUL, empty argv).
    Invalid,
    /// The token is not the current one.
    Token,
    /// Nothing listens on that port.
    Refused,
    /// Too many sessions at once.
    Busy,
    /// Anything else.
    Other,
}
