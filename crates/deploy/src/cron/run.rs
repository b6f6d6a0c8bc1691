//! One run of an app's cron: the way in, the command, what came of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use pando_guest_protocol::session::{Exec, ExecDone};
use pando_node::NodeError;
use pando_node::control::schedules::{
    RETRY, Refused, SERVER_ENDED, SERVER_FAILED, Tail, broke_off, refused, run_end,
};
use pando_node::guest::{ExecEvent, ExecInput, GuestError};
use pando_store::{CronRow, CronRunRow, Presence, RunEnd, StoreError, Swap};
use pando_types::PublicError;

use crate::app::find::leaving;
use crate::context::Context;
use crate::deployment::lines::Lines;
use crate::deployment::once;
use crate::deployment::redact::Redactor;
use crate::error::DeployError;
use crate::machine::{Machine, broken_off};

/// How often the end of a run is written, where the store does not take it: after that the
/// next start ends it.
const TRIES: u32 = 20;
/// How long between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A time of its schedule.
    Due,
    /// Somebody wanted it at once; where it is refused, they may want it again.
    Asked,
}

/// What came of a run.
enum Outcome {
    /// The command was begun, as far as is known.
    Ended(RunEnd),
    /// It was surely not.
    Refused { reason: String, then: Refused },
}

/// Runs what a row says is run already, and records what came of it.
pub(super) async fn run(context: Arc<Context>, row: CronRow, run: CronRunRow, cause: Cause) {
    let (app, cron) = (row.app.short(), row.name.as_str());
    tracing::info!(app, cron, due = run.due.to_rfc3339(), "an app's cron is run");
    let outcome = AssertUnwindSafe(outcome_of(&context, &row)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| {
        tracing::error!(app, cron, "the run of an app's cron panicked");
        Outcome::Ended(RunEnd { error: Some(SERVER_FAILED.to_owned()), ..RunEnd::default() })
    });
    for _ in 0..TRIES {
        match record(&context, &row, run, cause, &outcome).await {
            Ok(_) => return,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    app,
                    cron,
                    "the end of a run is not in its row yet"
                );
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        }
    }
}

async fn outcome_of(context: &Context, row: &CronRow) -> Outcome {
    let entered = tokio::select! {
        entered = enter(context, row) => entered,
        () = context.shutdown.cancelled() => Err(of_node(&NodeError::Stopping)),
    };
    let (machine, exec, redactor) = match entered {
        Ok(entered) => entered,
        Err(outcome) => return outcome,
    };
    // As long as the machine is held, its sandbox is in use.
    let mut output = Tail::default();
    let ended = tokio::select! {
        ended = to_its_end(&*machine, exec, &redactor, &mut output) => {
            ended.map_err(|error| redactor.clean(&format!("it broke off: {}", broke_off(&error))))
        }
        () = context.shutdown.cancelled() => Err(SERVER_ENDED.to_owned()),
    };
    Outcome::Ended(run_end(ended, row.timeout, output))
}

/// The machine where the app is live, woken, and what it is told.
async fn enter(
    context: &Context,
    row: &CronRow,
) -> Result<(Box<dyn Machine>, Exec, Redactor), Outcome> {
    let app = match context.store.app_get(row.app).await {
        Ok(Some(app)) if app.presence == Presence::Kept => app,
        Ok(_) => return Err(of_rows(leaving().into())),
        Err(error) => return Err(of_rows(error.into())),
    };
    let told = once::of_cron(context, &app, row).await.map_err(of_rows)?;
    let machine = context.machines.wake(app.org, told.sandbox).await;
    Ok((machine.map_err(|error| of_node(&error))?, told.exec, told.redactor))
}

fn of_node(error: &NodeError) -> Outcome {
    Outcome::Refused { reason: error.to_string(), then: refused(error) }
}

/// What the rows stand against stands until a deployment; the store's own trouble passes.
fn of_rows(error: DeployError) -> Outcome {
    let then = match error {
        DeployError::Refused(_) => Refused::Leave,
        _ => Refused::Again,
    };
    Outcome::Refused { reason: PublicError::from(error).message, then }
}

async fn to_its_end(
    machine: &dyn Machine,
    exec: Exec,
    redactor: &Redactor,
    output: &mut Tail,
) -> Result<ExecDone, GuestError> {
    let mut events = machine.run(exec, ExecInput::Empty).await?;
    let mut outputs = [Lines::new(redactor.clone()), Lines::new(redactor.clone())];
    let mut keep = |line: String| output.push((line + "\n").as_bytes());
    let ended = loop {
        let event = match events.next().await {
            Some(Ok(event)) => event,
            Some(Err(error)) => break Err(error),
            None => break Err(broken_off()),
        };
        let lines = match event {
            ExecEvent::Stdout(bytes) => outputs[0].push(&bytes),
            ExecEvent::Stderr(bytes) => outputs[1].push(&bytes),
            ExecEvent::Exit(done) => break Ok(done),
        };
        lines.into_iter().for_each(&mut keep);
    };
    outputs.iter_mut().filter_map(Lines::finish).for_each(keep);
    ended
}

async fn record(
    context: &Context,
    row: &CronRow,
    run: CronRunRow,
    cause: Cause,
    outcome: &Outcome,
) -> Result<Swap, StoreError> {
    let now = context.store.now();
    let (app, cron) = (row.app.short(), row.name.as_str());
    match outcome {
        Outcome::Ended(end) => {
            let (exit_code, error) = (end.exit_code, end.error.as_deref());
            tracing::info!(app, cron, exit_code, error, "its run ended");
            context.store.cron_end(row, run, now, end).await
        }
        Outcome::Refused { reason, then } => {
            tracing::info!(app, cron, reason, "it was not run");
            let again = (cause, *then) == (Cause::Due, Refused::Again);
            let again = again.then(|| now.plus(RETRY));
            context.store.cron_take_back(row, run, reason, again).await
        }
    }
}
