//! The processes of a live app: how they are, what they say, and what is run beside them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::sandbox::Command;

/// One process of a live app, as its sandbox tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppProcess {
    /// `web`, or the name of its line in the Procfile.
    pub name: String,
    /// What it does.
    pub state: AppProcessState,
    /// Its process id in the sandbox, while it has one.
    pub pid: Option<u32>,
    /// Since when it runs, RFC 3339; only while it does.
    pub running_since: Option<String>,
    /// When it starts again, RFC 3339; only while it waits for that.
    pub starts_at: Option<String>,
    /// How often it ended by itself and was started again, since the deployment.
    pub restarts: u64,
    /// How it last ended by itself: exit code, or 128 + signal; 127 where it could not be started.
    pub last_exit_code: Option<i32>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppProcessState {
    /// It is about to start.
    Starting,
    /// It runs.
    Running,
    /// It ended, and is started again in a while.
    Waiting,
    /// It was asked to end, and has not yet.
    Stopping,
}

/// What the processes of a live app have said: `GET /v1/apps/{id}/logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppLog {
    /// Oldest first.
    pub lines: Vec<AppLogLine>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppLogLine {
    /// When it was said, in Unix milliseconds of the sandbox's clock.
    pub at_ms: u64,
    /// Which process said it; null where it is about the log itself.
    pub process: Option<String>,
    /// `stdout`, or `stderr` (which is also where Pando says that a process ended).
    pub stream: String,
    /// The line, at most 16 KiB: a longer one comes in parts.
    pub text: String,
}

/// `POST /v1/apps/{id}/run`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunCommand {
    /// A shell string or an argv.
    #[schema(schema_with = crate::schema::command)]
    pub command: Command,
    /// Seconds until it and all it started are killed, more than 0 and at most 86400; default 600.
    #[serde(default)]
    #[schema(exclusive_minimum = 0, maximum = 86400)]
    pub timeout_seconds: Option<f64>,
}
