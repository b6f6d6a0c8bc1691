//! The cron of apps on the wire: routes under `/v1/apps/{id}/cron`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schedule::{ScheduleMiss, ScheduleRun};

/// A command of an app's `pando.toml` that the platform runs where the app is live, at certain
/// times; it wakes the app for it. Times are RFC 3339, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppCron {
    /// What it is called in the file.
    pub name: String,
    /// When it is due, in UTC.
    pub schedule: String,
    /// What is run.
    pub command: String,
    /// Seconds until a run is ended.
    pub timeout_seconds: u64,
    /// Whether it is run at its times; if not (as in a preview, unless the file says otherwise),
    /// only when somebody wants it.
    pub enabled: bool,
    /// When it is run next. In the past, a run is late and about to be made up for. Null where it
    /// is not enabled, and where no time is left.
    pub next_due_at: Option<String>,
    /// When somebody wanted a run that has not begun yet: that run's `due_at`.
    pub asked_at: Option<String>,
    /// Since when it runs; null while it does not.
    pub running_since: Option<String>,
    /// The last run that ended. What is secret of the app's environment is left out of its output.
    pub last_run: Option<ScheduleRun>,
    /// The last time at which it was due, or wanted, and did not run.
    pub last_miss: Option<ScheduleMiss>,
}
