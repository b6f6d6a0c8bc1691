//! `pando app run`, which is `pando run`, too.

use std::io::{self, Write};
use std::process::ExitCode;

use pando_types::process::RunCommand;
use pando_types::sandbox::{Command, ExecResult};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::find;
use crate::client::{ClientArgs, Event, Events};
use crate::commands::sandbox::exec::{Kept, Outputs, Through, exit_code};
use crate::error::Failure;
use crate::output;

/// What to run where an app is live, once: in its folder, with the environment of its processes.
/// It has no standard input; Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The app's name or id
    pub app: String,
    /// Seconds until the command and all it started are killed [default: 600]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// The program and its arguments; a single word is read by a shell: `-- 'rake db:seed | tail'`
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// Passes on its output, and the exit code. With --json, prints one object at the end.
pub async fn run(client: &ClientArgs, args: RunArgs) -> Result<ExitCode, Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let asked = RunCommand { command: command(args.command), timeout_seconds: args.timeout };
    let request = api.request(Method::POST, &format!("/apps/{}/run", app.id)).json(&asked);
    let events = api.events(request).await?;
    if !client.json {
        return Ok(exit_code(follow(events, &mut Through).await?.exit_code));
    }
    let mut kept = Kept::default();
    let end = follow(events, &mut kept).await?;
    let result: ExecResult = kept.result(end.exit_code, end.duration_ms);
    output::json(&serde_json::to_value(result).map_err(anyhow::Error::new)?)?;
    Ok(exit_code(end.exit_code))
}

fn command(mut words: Vec<String>) -> Command {
    match words.pop() {
        Some(only) if words.is_empty() => Command::Shell(only),
        last => {
            words.extend(last);
            Command::Argv(words)
        }
    }
}

/// How it ended.
#[derive(Debug, Deserialize)]
struct End {
    exit_code: i32,
    duration_ms: u64,
}

async fn follow(mut events: Events, outputs: &mut impl Outputs) -> Result<End, Failure> {
    while let Some(event) = events.next().await? {
        if let Some(end) = take(&event, outputs)? {
            return Ok(end);
        }
    }
    Err(broken("the server ended the stream".to_owned()))
}

/// Takes one event in; gives the end where it is that.
fn take(event: &Event, outputs: &mut impl Outputs) -> Result<Option<End>, Failure> {
    let data: Value = serde_json::from_str(&event.data).map_err(anyhow::Error::new)?;
    let chunk = || data["chunk"].as_str().unwrap_or_default().as_bytes();
    match event.name.as_str() {
        "stdout" => outputs.stdout(chunk())?,
        "stderr" => outputs.stderr(chunk())?,
        "exit" => return Ok(Some(serde_json::from_value(data).map_err(anyhow::Error::new)?)),
        "error" => return Err(broken(data["error"].as_str().unwrap_or("no reason").to_owned())),
        // A later server may say more.
        _ => {}
    }
    io::stdout().flush().map_err(output::not_written)?;
    Ok(None)
}

fn broken(why: String) -> Failure {
    let error = anyhow::Error::msg(why).context("the command did not come to its end");
    Failure::new(error, "`pando logs APP` shows what the app's processes say")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_for_the_shell() {
        let words = |words: &[&str]| command(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words(&["env | sort"]), Command::Shell("env | sort".into()));
        assert_eq!(words(&["a b", "c"]), Command::Argv(vec!["a b".into(), "c".into()]));
    }

    #[test]
    fn output_is_kept_until_the_end() {
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        let mut kept = Kept::default();
        for (name, data) in
            [("stdout", r#"{"chunk":"a\n"}"#), ("stderr", r#"{"chunk":"b"}"#), ("new", "{}")]
        {
            assert!(take(&event(name, data), &mut kept).unwrap().is_none());
        }
        let end = event("exit", r#"{"exit_code":3,"duration_ms":7}"#);
        let end = take(&end, &mut kept).unwrap().unwrap();
        let result = kept.result(end.exit_code, end.duration_ms);
        assert_eq!((result.stdout.as_str(), result.stderr.as_str()), ("a\n", "b"));
        assert_eq!(result.exit_code, 3);
        let error = event("error", r#"{"error":"it went","code":"gone"}"#);
        assert!(take(&error, &mut Kept::default()).is_err());
    }
}
