//! The schedules of sandboxes: commands that are run in them at certain times.
//!
//! `policy` says what is done about one that is looked at, and states the rule; `cron` when
//! one is due; `keeper` is the one task that looks; `run` is one run, `end` how it ended.
//!
//! The cron of apps, whose rows are others, goes by the same `policy`, `cron` and `end`.

mod cron;
mod end;
mod keeper;
mod policy;
mod run;

use std::sync::Arc;
use std::time::Duration;

use pando_store::{MissRow, RunRow, ScheduleRow, Swap};
use pando_types::limits::{
    DEFAULT_EXEC_TIMEOUT, MAX_CRON_YEARS, MAX_SCHEDULE_COMMAND_BYTES, MAX_SCHEDULE_TIMEOUT,
    MAX_SCHEDULES,
};
use pando_types::page::List;
use pando_types::schedule::{ChangeSchedule, CreateSchedule, Schedule, ScheduleMiss, ScheduleRun};
use pando_types::{Code, OrgId, PublicError, SandboxId, ScheduleId, Timestamp};
use tokio::sync::Notify;

pub use self::cron::{BadCron, Cron};
pub use self::end::{Tail, broke_off, run_end};
pub use self::keeper::{RETRY, SERVER_ENDED, SERVER_FAILED};
pub use self::policy::{Decision, Refused, Why, decide, refused};
use super::sandboxes::{Sandboxes, failed, seconds};

/// When a refused schedule is worth another try: one may have been deleted.
const RETRY_AFTER_SECS: u32 = 60;

/// Tells the keeper that a row has changed. Clones tell the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Arc<Notify>);

impl Changes {
    /// It looks again, now or when it is done with what it does.
    pub(super) fn tell(&self) {
        self.0.notify_one();
    }

    async fn told(&self) {
        self.0.notified().await;
    }
}

impl Sandboxes {
    /// Adds a schedule to a sandbox, under an id that was chosen before.
    ///
    /// # Errors
    /// [`Code::NotFound`] without the sandbox, [`Code::InvalidRequest`]; [`Code::OverQuota`]
    /// when it has as many as it may.
    pub async fn schedule_create(
        &self,
        id: ScheduleId,
        org: OrgId,
        sandbox: SandboxId,
        request: CreateSchedule,
    ) -> Result<Schedule, PublicError> {
        let failed = |error| failed(&error);
        let now = self.clock.now();
        let (cron, timeout) = check(&request, now)?;
        self.row(org, sandbox).await?;
        let row = ScheduleRow {
            id,
            sandbox,
            org,
            next_due: cron.next_after(now).filter(|_| !request.paused),
            cron: cron.as_str().to_owned(),
            command: request.command,
            timeout,
            paused: request.paused,
            run: None,
            last: None,
            miss: None,
            created: now,
        };
        let mut tx = self.store.begin().await.map_err(failed)?;
        let alive = tx.sandbox_get(sandbox).await.map_err(failed)?;
        if alive.is_none_or(|row| row.actual == pando_store::Actual::Deleted) {
            return Err(PublicError::not_found("sandbox", sandbox));
        }
        let others = tx.schedule_count(sandbox).await.map_err(failed)?;
        if others >= MAX_SCHEDULES {
            let message = format!("the sandbox has {others} schedules, which is the most");
            return Err(PublicError::new(Code::OverQuota, message)
                .hint("delete those that are not needed")
                .retry_after(RETRY_AFTER_SECS));
        }
        tx.schedule_insert(&row).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.schedules.tell();
        Ok(shown(&row))
    }

    /// What became of a create whose end nobody heard: the schedule, if it was made.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub async fn schedule_made(
        &self,
        org: OrgId,
        id: ScheduleId,
    ) -> Result<Option<Schedule>, PublicError> {
        let row = self.store.schedule_get(id).await.map_err(|error| failed(&error))?;
        Ok(row.filter(|row| row.org == org).as_ref().map(shown))
    }

    /// The schedules of a sandbox, oldest first.
    ///
    /// # Errors
    /// [`Code::NotFound`] without the sandbox.
    pub async fn schedule_list(
        &self,
        org: OrgId,
        sandbox: SandboxId,
    ) -> Result<List<Schedule>, PublicError> {
        self.row(org, sandbox).await?;
        let rows = self.store.schedule_list(sandbox).await.map_err(|error| failed(&error))?;
        Ok(List::whole(rows.iter().map(shown).collect()))
    }

    /// One schedule of a sandbox.
    ///
    /// # Errors
    /// [`Code::NotFound`] when either is unknown or another org's.
    pub async fn schedule_get(
        &self,
        org: OrgId,
        sandbox: SandboxId,
        id: ScheduleId,
    ) -> Result<Schedule, PublicError> {
        Ok(shown(&self.schedule_row(org, sandbox, id).await?))
    }

    /// Pauses a schedule, or lets it go on from now: what it missed is not made up for. What
    /// runs runs on.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn schedule_change(
        &self,
        org: OrgId,
        sandbox: SandboxId,
        id: ScheduleId,
        change: &ChangeSchedule,
    ) -> Result<Schedule, PublicError> {
        let row = self.schedule_row(org, sandbox, id).await?;
        if row.paused == change.paused {
            return Ok(shown(&row));
        }
        let next = Cron::parse(&row.cron).ok().and_then(|cron| cron.next_after(self.clock.now()));
        let next = next.filter(|_| !change.paused);
        let swap = self.store.schedule_set_paused(id, change.paused, next).await;
        match swap.map_err(|error| failed(&error))? {
            Swap::Done => {}
            Swap::Missing | Swap::Stale => return Err(missing(id)),
        }
        self.schedules.tell();
        self.schedule_get(org, sandbox, id).await
    }

    /// Removes a schedule. What runs runs on, and nobody is told how it ends.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn schedule_delete(
        &self,
        org: OrgId,
        sandbox: SandboxId,
        id: ScheduleId,
    ) -> Result<(), PublicError> {
        self.schedule_row(org, sandbox, id).await?;
        self.store.schedule_delete(id).await.map(drop).map_err(|error| failed(&error))
    }

    /// Tells the keeper that the clock was set, which nobody does elsewhere.
    #[cfg(test)]
    pub(crate) fn schedules_changed(&self) {
        self.schedules.tell();
    }

    async fn schedule_row(
        &self,
        org: OrgId,
        sandbox: SandboxId,
        id: ScheduleId,
    ) -> Result<ScheduleRow, PublicError> {
        self.row(org, sandbox).await?;
        let row = self.store.schedule_get(id).await.map_err(|error| failed(&error))?;
        row.filter(|row| row.sandbox == sandbox).ok_or_else(|| missing(id))
    }
}

fn missing(id: ScheduleId) -> PublicError {
    PublicError::not_found("schedule", id)
}

/// What is asked for, where it can be had.
fn check(request: &CreateSchedule, now: Timestamp) -> Result<(Cron, Duration), PublicError> {
    let cron = Cron::parse(&request.cron).map_err(|error| {
        PublicError::invalid("cron", format!("`cron` cannot be read: {error}"))
            .hint("five fields in UTC, such as `0 3 * * *`: every day at 3")
    })?;
    if cron.next_after(now).is_none() {
        let message = format!("`cron` is not due within {MAX_CRON_YEARS} years");
        return Err(PublicError::invalid("cron", message));
    }
    let command = &request.command;
    if command.trim().is_empty() {
        return Err(PublicError::invalid("command", "`command` is empty: there is nothing to run"));
    }
    if command.contains('\0') {
        return Err(PublicError::invalid("command", "`command` must not hold a NUL byte"));
    }
    if command.len() > MAX_SCHEDULE_COMMAND_BYTES {
        let message = format!(
            "`command` is {} bytes long; the most is {MAX_SCHEDULE_COMMAND_BYTES}",
            command.len()
        );
        return Err(PublicError::invalid("command", message)
            .hint("write the script to a file in the sandbox, and run that"));
    }
    Ok((cron, timeout(request.timeout_seconds)?))
}

fn timeout(seconds: Option<i64>) -> Result<Duration, PublicError> {
    let Some(seconds) = seconds else { return Ok(DEFAULT_EXEC_TIMEOUT) };
    let timeout = u64::try_from(seconds).ok().map(Duration::from_secs);
    let in_range = Duration::from_secs(1)..=MAX_SCHEDULE_TIMEOUT;
    timeout.filter(|timeout| in_range.contains(timeout)).ok_or_else(|| {
        let most = MAX_SCHEDULE_TIMEOUT.as_secs();
        let message = format!("`timeout_seconds` is {seconds}; it must be from 1 to {most}");
        PublicError::invalid("timeout_seconds", message)
    })
}

fn shown(row: &ScheduleRow) -> Schedule {
    Schedule {
        id: row.id,
        sandbox_id: row.sandbox,
        cron: row.cron.clone(),
        command: row.command.clone(),
        timeout_seconds: seconds(row.timeout),
        paused: row.paused,
        next_due_at: row.next_due.map(Timestamp::to_rfc3339),
        running_since: row.run.map(|run| run.started.to_rfc3339()),
        last_run: row.last.as_ref().map(shown_run),
        last_miss: row.miss.as_ref().map(shown_miss),
        created_at: row.created.to_rfc3339(),
    }
}

/// A run as its owner sees it.
#[must_use]
pub fn shown_run(run: &RunRow) -> ScheduleRun {
    ScheduleRun {
        due_at: run.due.to_rfc3339(),
        started_at: run.started.to_rfc3339(),
        ended_at: run.ended.to_rfc3339(),
        exit_code: run.end.exit_code,
        error: run.end.error.clone(),
        output: run.end.output.clone(),
    }
}

/// A time without a run, as its owner sees it.
#[must_use]
pub fn shown_miss(miss: &MissRow) -> ScheduleMiss {
    ScheduleMiss { due_at: miss.due.to_rfc3339(), reason: miss.reason.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_850_300_250);

    #[test]
    fn bad_schedules_are_refused_by_field() {
        let good = CreateSchedule {
            cron: "0 3 * * *".into(),
            command: "true".into(),
            timeout_seconds: None,
            paused: false,
        };
        assert_eq!(check(&good, NOW).unwrap().1, DEFAULT_EXEC_TIMEOUT);
        for seconds in [1, 3600] {
            let request = CreateSchedule { timeout_seconds: Some(seconds), ..good.clone() };
            assert_eq!(check(&request, NOW).unwrap().1.as_secs(), seconds.cast_unsigned());
        }
        let with_cron = |cron: &str| CreateSchedule { cron: cron.into(), ..good.clone() };
        let with_command = |command: String| CreateSchedule { command, ..good.clone() };
        let with_timeout =
            |seconds| CreateSchedule { timeout_seconds: Some(seconds), ..good.clone() };
        for (request, field) in [
            (with_cron("often"), "cron"),
            (with_cron("* * * * * *"), "cron"),
            (with_cron("0 0 30 2 *"), "cron"),
            (with_command(" \n".into()), "command"),
            (with_command("a\0".into()), "command"),
            (with_command("x".repeat(MAX_SCHEDULE_COMMAND_BYTES + 1)), "command"),
            (with_timeout(0), "timeout_seconds"),
            (with_timeout(-1), "timeout_seconds"),
            (with_timeout(3601), "timeout_seconds"),
        ] {
            let refused = check(&request, NOW).unwrap_err();
            let expected = (Code::InvalidRequest, Some(field));
            assert_eq!((refused.code, refused.field.as_deref()), expected, "{request:?}");
        }
    }
}
