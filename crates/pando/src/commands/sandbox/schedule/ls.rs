//! `pando sandbox schedule ls`.

use pando_types::SandboxId;
use pando_types::page::List;
use pando_types::schedule::{Schedule, ScheduleMiss, ScheduleRun};

use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Of which sandbox.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// The sandbox; it is not woken
    id: SandboxId,
}

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs, args: LsArgs) -> Result<(), Failure> {
    let answer = client.client()?.list(&format!("/sandboxes/{}/schedules", args.id)).await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<Schedule> = read(&answer)?;
    let header = ["ID", "CRON", "NEXT", "LAST", "OUTCOME", "COMMAND"];
    output::line(&output::table(&header, list.items.into_iter().map(row)))
}

fn row(schedule: Schedule) -> Vec<String> {
    let is_running = schedule.running_since.is_some();
    let outcome = outcome(is_running, schedule.last_run.as_ref(), schedule.last_miss.as_ref());
    let next = next(&schedule);
    vec![
        schedule.id.to_string(),
        schedule.cron,
        next,
        schedule.last_run.map(|run| run.started_at).unwrap_or_default(),
        outcome,
        schedule.command,
    ]
}

fn next(schedule: &Schedule) -> String {
    match &schedule.next_due_at {
        _ if schedule.paused => "paused".to_owned(),
        Some(next) => next.clone(),
        None => "never".to_owned(),
    }
}

/// What came of it last: a miss counts where it is later than the last run.
pub fn outcome(is_running: bool, run: Option<&ScheduleRun>, miss: Option<&ScheduleMiss>) -> String {
    if is_running {
        return "running".to_owned();
    }
    // Times of one form: the later is the greater.
    let miss = miss.filter(|miss| run.is_none_or(|run| run.due_at < miss.due_at));
    match (miss, run) {
        (Some(miss), _) => format!("not run: {}", miss.reason),
        (None, Some(run)) => match (&run.error, run.exit_code) {
            (Some(error), _) => error.clone(),
            (None, Some(code)) => format!("exit code {code}"),
            (None, None) => String::new(),
        },
        (None, None) => String::new(),
    }
}
