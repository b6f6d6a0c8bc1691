//! `pando app cron ls`.

use pando_types::cron::AppCron;
use pando_types::page::List;

use crate::client::{ClientArgs, read};
use crate::commands::app::find;
use crate::commands::sandbox::schedule::ls::outcome;
use crate::error::Failure;
use crate::output;

/// Whose.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// The app's name or id; it is not woken
    app: String,
}

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs, args: LsArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let answer = api.get(&format!("/apps/{}/cron", app.id)).await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<AppCron> = read(&answer)?;
    let header = ["NAME", "SCHEDULE", "NEXT", "LAST", "OUTCOME", "COMMAND"];
    output::line(&output::table(&header, list.items.into_iter().map(row)))
}

fn row(cron: AppCron) -> Vec<String> {
    let next = match cron.next_due_at {
        _ if !cron.enabled => "off".to_owned(),
        Some(next) => next,
        None => "never".to_owned(),
    };
    let is_running = cron.running_since.is_some();
    let outcome = outcome(is_running, cron.last_run.as_ref(), cron.last_miss.as_ref());
    let last = cron.last_run.map(|run| run.started_at).unwrap_or_default();
    vec![cron.name, cron.schedule, next, last, outcome, cron.command]
}
