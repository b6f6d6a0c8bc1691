//! The one task that looks at the cron of apps when it is due, and begins its runs.
//!
//! It reads the rows that are due and no others. Told of a change, or when a run ended, it looks
//! at once. The row is advanced before a run begins, so of any crash no time is run for twice.

use std::sync::Arc;
use std::time::Duration;

use pando_node::control::Cron;
use pando_node::control::schedules::{Decision, SERVER_ENDED, decide};
use pando_store::{CronRow, CronRunRow, StoreError, Swap};
use pando_types::Timestamp;
use pando_types::limits::MAX_CRON_RUNS;
use tokio::task::JoinSet;

use super::run::{self, Cause};
use crate::context::Context;

/// It looks again after this long even if nothing told it to: the wall's clock may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// It looks again after this long where the rows could not be read or written.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How many rows are read at once.
const PAGE: u32 = 64;

/// Ends what an earlier server left.
///
/// # Errors
/// Any [`StoreError`].
pub(crate) async fn end_of_others(context: &Context) -> Result<(), StoreError> {
    let ended = context.store.cron_end_of_other_boots(context.boot, SERVER_ENDED).await?;
    if ended > 0 {
        tracing::warn!(ended, "runs of apps' cron that an earlier server left");
    }
    Ok(())
}

/// Looks until the server stops, and waits for what runs then.
pub(crate) async fn keep(context: Arc<Context>) {
    let mut runs = JoinSet::new();
    while !context.shutdown.is_cancelled() {
        let wait = look(&context, &mut runs).await.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the cron of apps is not looked at");
            AFTER_FAILURE
        });
        tokio::select! {
            () = context.shutdown.cancelled() => {}
            () = context.cron_changed.notified() => {}
            () = tokio::time::sleep(wait) => {}
            Some(_) = runs.join_next() => {}
        }
    }
    // They see the same token.
    while runs.join_next().await.is_some() {}
}

/// Acts on all that are due; returns how long until there is more to do.
async fn look(context: &Arc<Context>, runs: &mut JoinSet<()>) -> Result<Duration, StoreError> {
    while runs.len() < MAX_CRON_RUNS {
        let now = context.store.now();
        let rows = context.store.cron_due(now, PAGE).await?;
        if rows.is_empty() {
            let next = context.store.cron_next_look().await?;
            let wait = next.map_or(LOOK_AGAIN, |next| next.since(context.store.now()));
            return Ok(wait.min(LOOK_AGAIN));
        }
        for row in rows {
            if runs.len() >= MAX_CRON_RUNS {
                break;
            }
            look_at(context, row, now, runs).await?;
        }
    }
    Ok(LOOK_AGAIN)
}

/// Afterwards the row is due later, or was changed by somebody else.
async fn look_at(
    context: &Arc<Context>,
    row: CronRow,
    now: Timestamp,
    runs: &mut JoinSet<()>,
) -> Result<(), StoreError> {
    let store = &context.store;
    if let Some(due) = row.asked {
        let run = CronRunRow { boot: context.boot, due, started: now };
        if store.cron_begin_asked(&row, run).await? == Swap::Done {
            runs.spawn(run::run(Arc::clone(context), row, run, Cause::Asked));
        }
        return Ok(());
    }
    let Some(seen) = row.next_due else { return Ok(()) };
    let decision = match Cron::parse(&row.schedule) {
        Ok(cron) => decide(&cron, seen, row.run.is_some(), now),
        Err(error) => {
            let reason = format!("its schedule cannot be read: {error}");
            return left_out(context, &row, (seen, seen), &reason, None).await;
        }
    };
    match decision {
        Decision::Wait => {
            // The clock was set back since it was last looked at.
            let _: Swap = store.cron_put_off(&row, seen, seen).await?;
        }
        Decision::Skip { missed, why, next } => {
            left_out(context, &row, (seen, missed), &why.to_string(), next).await?;
        }
        Decision::Run { due, next } => {
            let run = CronRunRow { boot: context.boot, due, started: now };
            if store.cron_begin(&row, seen, run, next).await? == Swap::Done {
                runs.spawn(run::run(Arc::clone(context), row, run, Cause::Due));
            }
        }
    }
    Ok(())
}

async fn left_out(
    context: &Context,
    row: &CronRow,
    (seen, missed): (Timestamp, Timestamp),
    reason: &str,
    next: Option<Timestamp>,
) -> Result<(), StoreError> {
    let (app, cron) = (row.app.short(), row.name.as_str());
    tracing::info!(app, cron, due = missed.to_rfc3339(), reason, "not run");
    // Changed by somebody else, it is as they want it.
    let _: Swap = context.store.cron_skip(row, seen, missed, reason, next).await?;
    Ok(())
}
