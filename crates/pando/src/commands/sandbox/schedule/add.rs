//! `pando sandbox schedule add`.

use pando_types::SandboxId;
use pando_types::schedule::{CreateSchedule, Schedule};

use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Where, when and what.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The sandbox; one that sleeps is woken for it
    id: SandboxId,
    /// When, in UTC: minute, hour, day, month and day of the week, as one argument
    #[arg(value_name = "CRON")]
    cron: String,
    /// What is run by /bin/sh, as one argument
    #[arg(value_name = "COMMAND")]
    command: String,
    /// Seconds until a run is ended, at most 3600 (default: 600)
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<i64>,
    /// Begin paused
    #[arg(long)]
    paused: bool,
}

/// Prints the id, or the schedule as JSON.
pub async fn run(client: &ClientArgs, args: AddArgs) -> Result<(), Failure> {
    let request = CreateSchedule {
        cron: args.cron,
        command: args.command,
        timeout_seconds: args.timeout,
        paused: args.paused,
    };
    let path = format!("/sandboxes/{}/schedules", args.id);
    let answer = client.client()?.post(&path, &request).await?;
    if client.json {
        return output::json(&answer);
    }
    let schedule: Schedule = read(&answer)?;
    if let Some(next) = &schedule.next_due_at {
        output::say(&format!("it is due next at {next}"));
    }
    output::line(&schedule.id.to_string())
}
