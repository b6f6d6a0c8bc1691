//! `pando app logs`, which is `pando logs`, too.

use pando_types::process::AppLog;
use reqwest::Method;
use serde::Deserialize;

use super::{build_log, find};
use crate::client::{ClientArgs, Events, read};
use crate::error::Failure;
use crate::output;

/// Whose, and which lines.
#[derive(Debug, clap::Args)]
pub struct LogsArgs {
    /// The app's name or id
    pub app: String,
    /// Go on with what comes, also of deployments to come, until Ctrl-C or the app falls asleep;
    /// with --build until the deployment ends, and exit 1 unless it is live then
    #[arg(short, long)]
    pub follow: bool,
    /// Only what this process says: web, or the name of its line in the Procfile
    #[arg(short, long, value_name = "NAME")]
    pub process: Option<String>,
    /// Of what is kept, only the last so many lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// Begin each line with its time
    #[arg(short, long)]
    timestamps: bool,
    /// What the latest deployment says, from fetching to the health check, instead of the
    /// processes of the one that is live
    #[arg(short, long, conflicts_with_all = ["process", "tail", "timestamps"])]
    build: bool,
}

/// One line, as an event has it.
#[derive(Deserialize)]
struct Line {
    line: String,
    process: Option<String>,
    time: String,
}

/// Prints lines. With --json: one object of all lines, or with --follow one object a line.
pub async fn run(client: &ClientArgs, args: LogsArgs) -> Result<(), Failure> {
    if args.build {
        return build_log::run(client, &args.app, args.follow).await;
    }
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let mut query = Vec::new();
    query.extend(args.process.map(|process| ("process", process)));
    query.extend(args.tail.map(|tail| ("tail", tail.to_string())));
    let request = api.request(Method::GET, &format!("/apps/{}/logs", app.id));
    if args.follow {
        query.push(("follow", "true".to_owned()));
        let events = api.events(request.query(&query)).await?;
        return tokio::select! {
            outcome = follow(events, args.timestamps, client.json) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
    }
    let answer = api.json(request.query(&query)).await?;
    if client.json {
        return output::json(&answer);
    }
    for line in read::<AppLog>(&answer)?.lines {
        let time = args.timestamps.then(|| time_of(line.at_ms));
        output::line(&shown(time, line.process.as_deref(), &line.text))?;
    }
    Ok(())
}

fn time_of(at_ms: u64) -> String {
    pando_types::Timestamp::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX)).to_rfc3339()
}

async fn follow(mut events: Events, timestamps: bool, json: bool) -> Result<(), Failure> {
    while let Some(event) = events.next().await? {
        if event.name == "error" {
            let error = anyhow::Error::msg(event.data).context("the log broke off");
            let hint = "it goes on when the app is used again";
            return Err(Failure::new(error, hint));
        }
        if json {
            output::line(&event.data)?;
            continue;
        }
        let line: Line = serde_json::from_str(&event.data).map_err(anyhow::Error::new)?;
        output::line(&shown(timestamps.then_some(line.time), line.process.as_deref(), &line.line))?;
    }
    Ok(())
}

/// `web | text`, after the time where that is asked for.
fn shown(time: Option<String>, process: Option<&str>, text: &str) -> String {
    let time = time.map_or_else(String::new, |time| format!("{time} "));
    let process = output::printable(process.unwrap_or("-"));
    format!("{time}{process} | {}", output::printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_process() {
        assert_eq!(shown(None, Some("web"), "up"), "web | up");
        let time = time_of(250);
        assert_eq!(shown(Some(time), None, "up"), "1970-01-01T00:00:00.250Z - | up");
    }
}
