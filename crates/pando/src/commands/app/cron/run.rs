//! `pando app cron run`.

use std::process::ExitCode;
use std::time::Duration;

use pando_types::cron::AppCron;
use pando_types::page::List;

use crate::client::{Client, ClientArgs, read};
use crate::commands::app::find;
use crate::error::Failure;
use crate::output;

/// How often it is looked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is run.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The app's name or id
    app: String,
    /// The cron's name, as `pando app cron ls` shows it
    name: String,
    /// Return at once, and not when it ended
    #[arg(long)]
    detach: bool,
}

/// Wants a run, and prints the end of what it said once it ended. Its exit code is ours.
pub async fn run(client: &ClientArgs, args: RunArgs) -> Result<ExitCode, Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let path = format!("/apps/{}/cron", app.id);
    let answer = api.post(&format!("{path}/{}/run", args.name), &()).await?;
    if args.detach {
        if client.json {
            output::json(&answer)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let asked: AppCron = read(&answer)?;
    let ended = wait(&api, &path, &asked).await?;
    if client.json {
        let value = serde_json::to_value(&ended).map_err(anyhow::Error::from)?;
        output::json(&value)?;
    }
    let refused = ended.last_miss.filter(|miss| Some(&miss.due_at) == asked.asked_at.as_ref());
    if let Some(miss) = refused {
        let error = anyhow::anyhow!("it was not run: {}", miss.reason);
        return Err(Failure::new(error, "`pando app ps NAME` shows how the app is"));
    }
    let Some(run) = ended.last_run else { return Ok(ExitCode::SUCCESS) };
    if !client.json {
        output::raw(&output::printable(&run.output))?;
    }
    match (run.error, run.exit_code) {
        (Some(error), _) => {
            let hint = "`pando logs NAME --process CRON` shows more of what it said";
            Err(Failure::new(anyhow::anyhow!("{error}"), hint))
        }
        (None, code) => Ok(ExitCode::from(u8::try_from(code.unwrap_or(0)).unwrap_or(1))),
    }
}

/// The cron, once what was asked for is its last run or its last miss.
async fn wait(api: &Client, path: &str, asked: &AppCron) -> Result<AppCron, Failure> {
    loop {
        let list: List<AppCron> = read(&api.get(path).await?)?;
        let found = list.items.into_iter().find(|cron| cron.name == asked.name);
        let cron = found.ok_or_else(|| {
            let error =
                anyhow::anyhow!("a deployment that went live since has no `{}`", asked.name);
            Failure::new(error, "`pando app cron ls NAME` shows what there is")
        })?;
        let run = cron.last_run.as_ref().map(|run| &run.due_at);
        let miss = cron.last_miss.as_ref().map(|miss| &miss.due_at);
        if [run, miss].contains(&asked.asked_at.as_ref()) {
            return Ok(cron);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
