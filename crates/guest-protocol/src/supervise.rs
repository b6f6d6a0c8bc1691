//! Processes that the agent keeps running: the host says which, all at once, and asks how they are.
//!
//! What is said replaces what was said before: a process that is new starts, one that
//! differs in anything is stopped and started again, one that is not named any more is
//! stopped, and all others go on. One that ends is started again, later each time
//! ([`FIRST_DELAY_MS`] to [`MAX_DELAY_MS`]).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most processes at once.
pub const MAX_SUPERVISED: usize = 16;
/// The longest name of one.
pub const MAX_PROCESS_NAME_BYTES: usize = 32;
/// What a process has to end by itself when nothing else is said, in milliseconds.
pub const DEFAULT_GRACE_MS: u64 = 10_000;
/// The most that a process may have.
pub const MAX_GRACE_MS: u64 = 60_000;
/// How long one that has ended waits for its next start, in milliseconds; twice as long each further time.
pub const FIRST_DELAY_MS: u64 = 1_000;
/// The longest wait.
pub const MAX_DELAY_MS: u64 = 60_000;
/// One that ran for so long waits as at the first time.
pub const RAN_WELL_MS: u64 = 60_000;

/// All that is to run.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Supervise {
    /// What every one of them finds in its environment. Apart, because so many copies of
    /// it would not go into one frame.
    pub env: BTreeMap<String, String>,
    /// The processes; each name once, [`MAX_SUPERVISED`] at most.
    pub processes: Vec<Supervised>,
}

/// One process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervised {
    /// What it is called: [`is_process_name`].
    pub name: String,
    /// The program (looked up in PATH) and its arguments. At least one.
    pub argv: Vec<String>,
    /// Working directory; the user's home when absent.
    pub cwd: Option<String>,
    /// Its own part of the environment, over [`Supervise::env`].
    pub env: BTreeMap<String, String>,
    /// As in [`Exec`](crate::session::Exec).
    pub user: Option<String>,
    /// As in [`Exec`](crate::session::Exec).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// What it has between SIGTERM and SIGKILL, in milliseconds; [`MAX_GRACE_MS`] at most.
    pub grace_ms: u64,
}

/// How all of them are, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisedList {
    /// With those that are being stopped and are not named any more.
    pub processes: Vec<Watched>,
}

/// How one process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub state: ProcessState,
    /// How often it ended by itself and was started again.
    pub restarts: u64,
    /// Its last end by itself: exit code, or 128 + signal; 127 where it could not be started.
    pub last_exit_code: Option<i32>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ProcessState {
    /// It is about to start.
    Starting,
    /// It runs.
    Running {
        /// Its process id, which is also its process group and session.
        pid: u32,
        /// Since when, in Unix milliseconds of the guest's clock.
        since_ms: u64,
    },
    /// It ended, and waits for its next start.
    Waiting {
        /// When that is, in Unix milliseconds of the guest's clock.
        until_ms: u64,
    },
    /// It was asked to end, and has not yet.
    Stopping {
        /// Its process id.
        pid: u32,
    },
}

impl Watched {
    /// How often it has ended by itself.
    #[must_use]
    pub fn ends(&self) -> u64 {
        let waits = matches!(self.state, ProcessState::Waiting { .. });
        self.restarts.saturating_add(u64::from(waits))
    }
}

/// Whether a process may be called so: `[A-Za-z][A-Za-z0-9_-]*`.
#[must_use]
pub fn is_process_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    name.len() <= MAX_PROCESS_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(is_part)
}

/// The names of an environment may be shown, its values never.
impl fmt::Debug for Supervise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervise")
            .field("env", &self.env.keys())
            .field("processes", &self.processes)
            .finish()
    }
}

impl fmt::Debug for Supervised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised")
            .field("name", &self.name)
            .field("argv", &self.argv)
            .field("cwd", &self.cwd)
            .field("env", &self.env.keys())
            .field("user", &self.user)
            .field("root", &self.root)
            .field("grace_ms", &self.grace_ms)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["web", "w", "clock_worker", "Sidekiq-2", &"a".repeat(32)] {
            assert!(is_process_name(name), "{name}");
        }
        for name in ["", "2web", "-web", "web.1", "wéb", "a b", &"a".repeat(33)] {
            assert!(!is_process_name(name), "{name}");
        }
    }

    #[test]
    fn no_value_of_an_environment_is_printed() {
        let env = BTreeMap::from([("KEY".to_owned(), "secret".to_owned())]);
        let process = Supervised {
            name: "web".into(),
            argv: vec!["true".into()],
            cwd: None,
            env: env.clone(),
            user: None,
            root: None,
            grace_ms: DEFAULT_GRACE_MS,
        };
        let text = format!("{:?}", Supervise { env, processes: vec![process] });
        assert!(text.contains("KEY") && !text.contains("secret"), "{text}");
    }
}
