//! The cron of apps: what is run where they are live at certain times, and what came of it last.
//!
//! As with [`ScheduleRow`](crate::ScheduleRow), a due time is taken by a write that advances the
//! row before anything is done: whatever ends the server afterwards, nobody takes it again.

use std::time::Duration;

use pando_types::{AppId, BootId, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::{MissRow, RunRow, Store, StoreError, run};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT app_id, name, schedule, command, timeout_ms, is_on, next_due_ms, asked_ms, \
             run_boot, run_due_ms, run_started_ms, last_due_ms, last_started_ms, last_ended_ms, \
             last_exit_code, last_error, last_output, miss_due_ms, miss_reason FROM app_cron ",
            $rest
        )
    };
}

mod write;

/// A command that an app has run at certain times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronRow {
    /// Whose it is.
    pub app: AppId,
    /// What it is called in the app.
    pub name: String,
    /// When it is due.
    pub schedule: String,
    /// What is run.
    pub command: String,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether it is run at its times; if not, only when somebody wants it.
    pub is_on: bool,
    /// The time that it is run for next.
    pub next_due: Option<Timestamp>,
    /// Since when somebody wants it run at once.
    pub asked: Option<Timestamp>,
    /// The run that goes on.
    pub run: Option<CronRunRow>,
    /// The last run that ended.
    pub last: Option<RunRow>,
    /// The last time for which there was no run.
    pub miss: Option<MissRow>,
}

/// A run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CronRunRow {
    /// The start of the server that runs it.
    pub boot: BootId,
    /// For when: a time of its schedule, or that at which somebody wanted it.
    pub due: Timestamp,
    /// Since when.
    pub started: Timestamp,
}

/// What a deployment that goes live wants run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronWish {
    /// What it is called in the app.
    pub name: String,
    /// When it is due.
    pub schedule: String,
    /// What is run.
    pub command: String,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether it is run at its times.
    pub is_on: bool,
    /// The first of them from now on, if it is; one that was there and is due at the same times
    /// keeps its own.
    pub next_due: Option<Timestamp>,
}

fn read(row: &SqliteRow) -> Result<CronRow, StoreError> {
    let columns = Columns(row);
    let run = match columns.maybe_id("run_boot")? {
        None => None,
        Some(boot) => Some(CronRunRow {
            boot,
            due: columns.time("run_due_ms")?,
            started: columns.time("run_started_ms")?,
        }),
    };
    Ok(CronRow {
        app: columns.id("app_id")?,
        name: columns.get("name")?,
        schedule: columns.get("schedule")?,
        command: columns.get("command")?,
        timeout: Duration::from_millis(columns.number("timeout_ms")?),
        is_on: columns.get("is_on")?,
        next_due: columns.maybe_time("next_due_ms")?,
        asked: columns.maybe_time("asked_ms")?,
        run,
        last: run::last(&columns)?,
        miss: run::miss(&columns)?,
    })
}

impl Store {
    /// One of an app.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_get(&self, app: AppId, name: &str) -> Result<Option<CronRow>, StoreError> {
        let query = sqlx::query(select!("WHERE app_id = $1 AND name = $2"));
        let row = query.bind(app.to_string()).bind(name).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// Those of an app, by name: as many as one may have.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_list(&self, app: AppId) -> Result<Vec<CronRow>, StoreError> {
        let query = sqlx::query(select!("WHERE app_id = $1 ORDER BY name"));
        let rows = query.bind(app.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Those to look at by now, at most `limit`, the most urgent first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_due(&self, now: Timestamp, limit: u32) -> Result<Vec<CronRow>, StoreError> {
        let query = sqlx::query(select!("WHERE look_ms <= $1 ORDER BY look_ms LIMIT $2"));
        let query = query.bind(now.as_millis()).bind(i64::from(limit));
        let rows = query.fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// When the next of all is to be looked at.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_next_look(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query(
            "SELECT look_ms FROM app_cron WHERE look_ms IS NOT NULL ORDER BY look_ms LIMIT 1",
        );
        let row = query.fetch_optional(&self.reader).await?;
        row.map(|row| Columns(&row).time("look_ms")).transpose()
    }
}
