//! What commands and processes have said: the agent keeps the last lines of all commands
//! together, and those of each supervised process apart.

use serde::{Deserialize, Serialize};

use crate::supervise::MAX_SUPERVISED;

/// The bytes of lines of commands that the agent keeps; older ones go first.
pub const MAX_LOG_BYTES: usize = 2 * 1024 * 1024;
/// The bytes of lines that the agent keeps of one supervised process, or of one name of commands:
/// however much another says, these stay.
pub const MAX_PROCESS_LOG_BYTES: usize = 1024 * 1024;
/// Of how many names lines are kept apart: supervised processes, and commands that have a name
/// of their own there. Of more, the one that has been silent for longest goes.
pub const MAX_LOG_NAMES: usize = MAX_SUPERVISED + 8;
/// The longest line; a longer one is kept in pieces of this size.
pub const MAX_LOG_LINE_BYTES: usize = 16 * 1024;

/// Which of a command's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Whose lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Those of commands and of supervised processes.
    #[default]
    All,
    /// Those of supervised processes.
    Processes,
    /// Those of the supervised process of this name.
    Process(String),
}

/// Which lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogQuery {
    /// Of some only.
    #[serde(default)]
    pub whose: Whose,
    /// Of one output only.
    pub output: Option<Output>,
    /// Of what is kept, only the last so many.
    pub tail: Option<usize>,
    /// Of what is kept, only what came at this time or later (Unix milliseconds).
    pub since_ms: Option<u64>,
    /// Whether what comes later is wanted too, for as long as the session lasts.
    pub follow: bool,
}

/// The bytes of lines in one [`LogLines`]: in JSON, which may take six bytes for one, they fit a frame.
pub const MAX_LOG_LINES_BYTES: usize = 32 * 1024;

/// Lines that came at once. Bytes that are not UTF-8 have U+FFFD in their place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLines {
    /// When the end of the last came, in Unix milliseconds of the guest's clock.
    pub time_ms: u64,
    /// Which output of the command.
    pub output: Output,
    /// The process id of what said them; 0 where it is the agent that speaks of it.
    pub pid: u32,
    /// The supervised process that said them, or the command that has this name here; none for
    /// another command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The lines, a newline between each two; one at least, which may be empty.
    pub text: String,
}
