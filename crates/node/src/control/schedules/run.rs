//! One run of a schedule: the way in, the command, what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::session::{Exec, ExecDone};
use pando_store::{RunEnd, RunningRow, ScheduleRow, StoreError, Swap};

use super::end::{Tail, broke_off, run_end};
use super::keeper::{RETRY, SERVER_ENDED};
use super::policy::{Refused, refused};
use crate::control::sandboxes::Sandboxes;
use crate::guest::{ExecEvent, ExecInput, Guest, GuestError};
use crate::node::NodeError;

/// How often the end of a run is written, where the store does not take it: after that the
/// next start ends it.
const TRIES: u32 = 20;
/// How long between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// What came of a run.
enum Outcome {
    /// The command was begun, as far as is known.
    Ended(RunEnd),
    /// It was surely not.
    Refused { reason: String, then: Refused },
}

impl Sandboxes {
    /// Runs a schedule whose row says so already, and records what came of it.
    pub(super) async fn run_schedule(self, row: ScheduleRow, run: RunningRow) {
        let (schedule, sandbox) = (row.id.short(), row.sandbox.short());
        tracing::info!(schedule, sandbox, due = run.due.to_rfc3339(), "a schedule is run");
        let outcome = self.outcome_of(&row).await;
        for _ in 0..TRIES {
            match self.record(&row, run, &outcome).await {
                Ok(_) => return,
                Err(error) => {
                    let error = crate::chain(&error);
                    tracing::error!(error, schedule, "the end of a run is not in its row yet");
                    tokio::time::sleep(BETWEEN_TRIES).await;
                }
            }
        }
    }

    async fn outcome_of(&self, row: &ScheduleRow) -> Outcome {
        let stopping = self.node.stopping();
        let entered = tokio::select! {
            entered = self.node.access(row.sandbox, Some(row.org)) => entered,
            () = stopping.cancelled() => Err(NodeError::Stopping),
        };
        let guest = match entered {
            Ok(guest) => guest,
            Err(error) => {
                return Outcome::Refused { reason: error.to_string(), then: refused(&error) };
            }
        };
        // As long as the client is there, its sandbox is in use.
        let mut output = Tail::default();
        let ended = tokio::select! {
            ended = exec(&guest, row, &mut output) => ended,
            () = stopping.cancelled() => Err(SERVER_ENDED.to_owned()),
        };
        Outcome::Ended(run_end(ended, row.timeout, output))
    }

    async fn record(
        &self,
        row: &ScheduleRow,
        run: RunningRow,
        outcome: &Outcome,
    ) -> Result<Swap, StoreError> {
        let now = self.clock.now();
        match outcome {
            Outcome::Ended(end) => {
                let (schedule, exit_code) = (row.id.short(), end.exit_code);
                tracing::info!(schedule, exit_code, error = end.error, "its run ended");
                self.store.schedule_end(row.id, run, now, end).await
            }
            Outcome::Refused { reason, then } => {
                tracing::info!(schedule = row.id.short(), reason, "it was not run");
                let again = (*then == Refused::Again).then(|| now.plus(RETRY));
                self.store.schedule_take_back(row.id, run, reason, again).await
            }
        }
    }
}

async fn exec(guest: &Guest, row: &ScheduleRow, output: &mut Tail) -> Result<ExecDone, String> {
    let exec = Exec {
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), row.command.clone()],
        cwd: None,
        env: BTreeMap::new(),
        user: None,
        timeout_ms: u64::try_from(row.timeout.as_millis()).ok(),
        detached_log: None,
        log_name: None,
        root: None,
    };
    let said = |error: GuestError| broke_off(&error);
    let mut events = guest.exec_stream(exec, ExecInput::Empty).await.map_err(said)?;
    while let Some(event) = events.next().await {
        match event.map_err(said)? {
            ExecEvent::Stdout(bytes) | ExecEvent::Stderr(bytes) => output.push(&bytes),
            ExecEvent::Exit(done) => return Ok(done),
        }
    }
    Err("the sandbox's agent went away before the command ended".to_owned())
}
