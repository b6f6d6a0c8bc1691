//! What the agent and its children may use.

use std::fs;

use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};

use super::{BootError, Step};

/// What a program may raise its own limit to: databases and file watchers do.
const HARD_OPEN_FILES: u64 = 1_048_576;
/// What a program gets without asking.
const SOFT_OPEN_FILES: u64 = 65_536;

/// What the machine does while its workload is at its busiest: say that it is ready, freeze it.
const AGENT_NICENESS: i32 = -10;

/// Children inherit the limit on open files; they set their own OOM score and niceness back.
pub fn raise() -> Result<(), BootError> {
    let open_files = Rlimit { current: Some(SOFT_OPEN_FILES), maximum: Some(HARD_OPEN_FILES) };
    setrlimit(Resource::Nofile, open_files).step("raise the limit on open files")?;
    // When memory runs out, any child is a better choice than the machine's only way in.
    fs::write("/proc/self/oom_score_adj", "-1000").step("set the OOM score")?;
    setpriority_process(None, AGENT_NICENESS).step("set the agent's priority")?;
    // The default of a small machine wraps after 32768 processes; a number is less surprising when it is not reused soon.
    fs::write("/proc/sys/kernel/pid_max", "4194304").step("raise the limit on process ids")
}
