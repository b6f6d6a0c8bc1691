//! Schedules: what is run in sandboxes at certain times, and what came of it last.
//!
//! A due time is taken by [`Store::schedule_begin`], which advances the row before anything
//! is done: whatever ends the server afterwards, nobody takes that time again.

mod write;

use std::time::Duration;

use pando_types::{NodeId, OrgId, SandboxId, ScheduleId, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::{MissRow, RunRow, Store, StoreError, run};

macro_rules! columns {
    () => {
        "id, sandbox_id, org_id, cron, command, timeout_ms, paused, next_due_ms, run_node, \
         run_due_ms, run_started_ms, last_due_ms, last_started_ms, last_ended_ms, \
         last_exit_code, last_error, last_output, miss_due_ms, miss_reason, created_ms"
    };
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Its id.
    pub id: ScheduleId,
    /// The sandbox that it is of.
    pub sandbox: SandboxId,
    /// Whose that is.
    pub org: OrgId,
    /// When it is due.
    pub cron: String,
    /// What is run.
    pub command: String,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether nothing is run.
    pub paused: bool,
    /// The time that it is run for next.
    pub next_due: Option<Timestamp>,
    /// The run that goes on.
    pub run: Option<RunningRow>,
    /// The last run that ended.
    pub last: Option<RunRow>,
    /// The last time for which there was no run.
    pub miss: Option<MissRow>,
    /// When it was made.
    pub created: Timestamp,
}

/// A run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningRow {
    /// The node that runs it.
    pub node: NodeId,
    /// For when.
    pub due: Timestamp,
    /// Since when.
    pub started: Timestamp,
}

fn read(row: &SqliteRow) -> Result<ScheduleRow, StoreError> {
    let columns = Columns(row);
    let run = match columns.maybe_id("run_node")? {
        None => None,
        Some(node) => Some(RunningRow {
            node,
            due: columns.time("run_due_ms")?,
            started: columns.time("run_started_ms")?,
        }),
    };
    Ok(ScheduleRow {
        id: columns.id("id")?,
        sandbox: columns.id("sandbox_id")?,
        org: columns.id("org_id")?,
        cron: columns.get("cron")?,
        command: columns.get("command")?,
        timeout: Duration::from_millis(columns.number("timeout_ms")?),
        paused: columns.get("paused")?,
        next_due: columns.maybe_time("next_due_ms")?,
        run,
        last: run::last(&columns)?,
        miss: run::miss(&columns)?,
        created: columns.time("created_ms")?,
    })
}

impl Store {
    /// One schedule.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_get(&self, id: ScheduleId) -> Result<Option<ScheduleRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM schedule WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// The schedules of a sandbox, oldest first: as many as one may have.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_list(&self, sandbox: SandboxId) -> Result<Vec<ScheduleRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM schedule WHERE sandbox_id = $1 ORDER BY created_ms, id"
        ));
        let rows = query.bind(sandbox.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Those to look at by now, at most `limit`, the most urgent first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ScheduleRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM schedule WHERE look_ms <= $1 ORDER BY look_ms LIMIT $2"
        ));
        let query = query.bind(now.as_millis()).bind(i64::from(limit));
        let rows = query.fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// When the next of all is to be looked at.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_next_look(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query(
            "SELECT look_ms FROM schedule WHERE look_ms IS NOT NULL ORDER BY look_ms LIMIT 1",
        );
        let row = query.fetch_optional(&self.reader).await?;
        row.map(|row| Columns(&row).time("look_ms")).transpose()
    }
}
