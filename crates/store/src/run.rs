//! What schedules and the cron of apps keep of runs: the last that ended, and the last time
//! without one. Their tables name the columns alike.

use pando_types::Timestamp;

use crate::StoreError;
use crate::column::Columns;

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// For when.
    pub due: Timestamp,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How.
    pub end: RunEnd,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunEnd {
    /// What the command exited with, where that is known.
    pub exit_code: Option<i32>,
    /// Why it did not end by itself, or why nobody knows how.
    pub error: Option<String>,
    /// The end of what it said.
    pub output: String,
}

/// A time for which there was no run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissRow {
    /// The time.
    pub due: Timestamp,
    /// Why.
    pub reason: String,
}

/// The last run that ended.
pub(crate) fn last(columns: &Columns<'_>) -> Result<Option<RunRow>, StoreError> {
    let Some(due) = columns.maybe_time("last_due_ms")? else { return Ok(None) };
    let end = RunEnd {
        exit_code: columns.maybe_number("last_exit_code")?,
        error: columns.get("last_error")?,
        output: columns.get("last_output")?,
    };
    let (started, ended) = (columns.time("last_started_ms")?, columns.time("last_ended_ms")?);
    Ok(Some(RunRow { due, started, ended, end }))
}

/// The last time for which there was no run.
pub(crate) fn miss(columns: &Columns<'_>) -> Result<Option<MissRow>, StoreError> {
    let Some(due) = columns.maybe_time("miss_due_ms")? else { return Ok(None) };
    Ok(Some(MissRow { due, reason: columns.get("miss_reason")? }))
}
