//! Schedules on the wire: routes under `/v1/sandboxes/{id}/schedules`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{SandboxId, ScheduleId};
use crate::schema::value::{CronText, ScheduleCommand};

/// `POST /v1/sandboxes/{id}/schedules`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateSchedule {
    /// When it is due, in UTC: minute, hour, day of the month, month, day of the week. Where both
    /// days are restricted, either will do.
    #[schema(value_type = CronText, example = "0 3 * * *")]
    pub cron: String,
    /// What is run, by `/bin/sh -c` as root.
    #[schema(value_type = ScheduleCommand)]
    pub command: String,
    /// Seconds until a run is ended, 1 to 3600; 600 where there are none.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 1, maximum = 3600)]
    pub timeout_seconds: Option<i64>,
    /// Whether it begins paused.
    #[serde(default)]
    pub paused: bool,
}

/// `PATCH /v1/sandboxes/{id}/schedules/{schedule_id}`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangeSchedule {
    /// Whether nothing is run. What was missed meanwhile is not made up for.
    pub paused: bool,
}

/// A command that the platform runs in a sandbox at certain times; it wakes the sandbox for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// The sandbox that it is of.
    pub sandbox_id: SandboxId,
    /// When it is due, in UTC.
    pub cron: String,
    /// What is run.
    pub command: String,
    /// Seconds until a run is ended.
    pub timeout_seconds: u64,
    /// Whether nothing is run.
    pub paused: bool,
    /// When it is run next: RFC 3339, UTC. In the past, a run is late and about to be made up for.
    /// Null while it is paused, and where no time is left.
    pub next_due_at: Option<String>,
    /// Since when it runs; null while it does not.
    pub running_since: Option<String>,
    /// The last run that ended.
    pub last_run: Option<ScheduleRun>,
    /// The last time at which it was due and did not run.
    pub last_miss: Option<ScheduleMiss>,
    /// When it was made: RFC 3339, UTC.
    pub created_at: String,
}

/// One run of a schedule. Times are RFC 3339, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRun {
    /// For when.
    pub due_at: String,
    /// When it began: with the wake, where the sandbox slept.
    pub started_at: String,
    /// When it ended.
    pub ended_at: String,
    /// What the command exited with; null where nobody can tell.
    pub exit_code: Option<i32>,
    /// Why the command did not end by itself, or why nobody knows how.
    pub error: Option<String>,
    /// The end of what it said, stdout and stderr as they came: 4096 bytes at most.
    pub output: String,
}

/// A time at which a schedule did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleMiss {
    /// When it was due: RFC 3339, UTC.
    pub due_at: String,
    /// Why it did not run.
    pub reason: String,
}
