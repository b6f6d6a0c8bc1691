//! The one task that looks at schedules when they are due, and begins their runs.
//!
//! It reads the rows that are due and no others: an index gives the first of them, and the
//! time until the next. Told of a change, or when a run ended, it looks at once. The row is
//! advanced before a run begins, so of any crash no time is run for twice.

use std::collections::HashMap;
use std::time::Duration;

use pando_store::{RunEnd, RunningRow, ScheduleRow, StoreError, Swap};
use pando_types::{OrgId, ScheduleId, Timestamp};
use tokio::task::{Id, JoinError, JoinSet};

use super::cron::Cron;
use super::policy::{Decision, decide};
use crate::control::sandboxes::Sandboxes;

/// It looks again after this long even if nothing told it to: the wall's clock may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// It looks again after this long where the rows could not be read or written.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// When a run is tried again that was refused, or had no place.
pub const RETRY: Duration = Duration::from_secs(30);
/// Runs at once; the others wait for a place.
const MAX_RUNS: usize = 256;
/// Runs at once of one org: the others are tried again, and nobody waits behind them.
const MAX_RUNS_OF_ORG: usize = 32;
/// How many rows are read at once.
const PAGE: u32 = 64;
/// What is said of a run whose server is gone.
pub const SERVER_ENDED: &str =
    "the server ended while it ran: whether the command ended is not known";

/// The same, of one that broke off by a fault of the server.
pub const SERVER_FAILED: &str =
    "the server failed while it ran: whether the command ended is not known";

/// What runs now.
#[derive(Default)]
struct Runs {
    tasks: JoinSet<()>,
    of: HashMap<Id, (OrgId, ScheduleId, RunningRow)>,
}

impl Runs {
    fn of(&self, org: OrgId) -> usize {
        self.of.values().filter(|(other, ..)| *other == org).count()
    }

    fn are_full(&self) -> bool {
        self.tasks.len() >= MAX_RUNS
    }

    /// Forgets one that ended; returns it where it broke off, and its row does not know.
    fn end(&mut self, ended: Result<(Id, ()), JoinError>) -> Option<(ScheduleId, RunningRow)> {
        let error = match ended {
            Ok((id, ())) => {
                self.of.remove(&id);
                return None;
            }
            Err(error) => error,
        };
        tracing::error!(%error, "the run of a schedule broke off");
        self.of.remove(&error.id()).map(|(_, schedule, run)| (schedule, run))
    }
}

impl Sandboxes {
    /// Ends what an earlier server left, and starts the task.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(in crate::control) async fn keep_schedules(&self) -> Result<(), StoreError> {
        let ended = self.store.schedule_end_open(self.node_id, SERVER_ENDED).await?;
        if ended > 0 {
            tracing::warn!(ended, "runs of schedules that an earlier server left");
        }
        self.node.spawn(self.clone().look_after_schedules());
        Ok(())
    }

    async fn look_after_schedules(self) {
        let stopping = self.node.stopping();
        let mut runs = Runs::default();
        while !stopping.is_cancelled() {
            let wait = self.look_at_schedules(&mut runs).await.unwrap_or_else(|error| {
                tracing::error!(error = crate::chain(&error), "schedules are not looked at");
                AFTER_FAILURE
            });
            tokio::select! {
                () = stopping.cancelled() => {}
                () = self.schedules.told() => {}
                () = tokio::time::sleep(wait) => {}
                Some(ended) = runs.tasks.join_next_with_id() => {
                    if let Some((schedule, run)) = runs.end(ended) {
                        self.end_broken(schedule, run).await;
                    }
                }
            }
        }
        // They see the same token.
        while runs.tasks.join_next().await.is_some() {}
    }

    /// Without this a schedule whose run broke off would be left out until the next start.
    async fn end_broken(&self, schedule: ScheduleId, run: RunningRow) {
        let end = RunEnd { error: Some(SERVER_FAILED.to_owned()), ..RunEnd::default() };
        let ended = self.store.schedule_end(schedule, run, self.clock.now(), &end).await;
        if let Err(error) = ended {
            tracing::error!(error = crate::chain(&error), "the next start ends a run");
        }
    }

    /// Acts on all that are due; returns how long until there is more to do.
    async fn look_at_schedules(&self, runs: &mut Runs) -> Result<Duration, StoreError> {
        while !runs.are_full() {
            let now = self.clock.now();
            let rows = self.store.schedule_due(now, PAGE).await?;
            if rows.is_empty() {
                let next = self.store.schedule_next_look().await?;
                let wait = next.map_or(LOOK_AGAIN, |next| next.since(self.clock.now()));
                return Ok(wait.min(LOOK_AGAIN));
            }
            for row in rows {
                if runs.are_full() {
                    break;
                }
                self.look_at_schedule(row, now, runs).await?;
            }
        }
        Ok(LOOK_AGAIN)
    }

    /// Afterwards the row is due later, or was changed by somebody else.
    async fn look_at_schedule(
        &self,
        row: ScheduleRow,
        now: Timestamp,
        runs: &mut Runs,
    ) -> Result<(), StoreError> {
        let Some(seen) = row.next_due else { return Ok(()) };
        let decision = match Cron::parse(&row.cron) {
            Ok(cron) => decide(&cron, seen, row.run.is_some(), now),
            Err(error) => {
                let reason = format!("its cron cannot be read: {error}");
                return self.left_out(&row, seen, seen, &reason, None).await;
            }
        };
        match decision {
            Decision::Wait => {
                // The clock was set back since it was last looked at.
                let _: Swap = self.store.schedule_put_off(row.id, seen, seen).await?;
                Ok(())
            }
            Decision::Skip { missed, why, next } => {
                self.left_out(&row, seen, missed, &why.to_string(), next).await
            }
            Decision::Run { .. } if runs.of(row.org) >= MAX_RUNS_OF_ORG => {
                let until = now.plus(RETRY);
                let _: Swap = self.store.schedule_put_off(row.id, seen, until).await?;
                Ok(())
            }
            Decision::Run { due, next } => {
                let run = RunningRow { node: self.node_id, due, started: now };
                if self.store.schedule_begin(row.id, seen, run, next).await? == Swap::Done {
                    let of = (row.org, row.id, run);
                    let task = runs.tasks.spawn(self.clone().run_schedule(row, run));
                    runs.of.insert(task.id(), of);
                }
                Ok(())
            }
        }
    }

    async fn left_out(
        &self,
        row: &ScheduleRow,
        seen: Timestamp,
        missed: Timestamp,
        reason: &str,
        next: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        tracing::info!(schedule = row.id.short(), due = missed.to_rfc3339(), reason, "not run");
        // Changed by somebody else, it is as they want it.
        let _: Swap = self.store.schedule_skip(row.id, seen, missed, reason, next).await?;
        Ok(())
    }
}
