//! `pando sandbox exec`.

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use pando_types::SandboxId;
use pando_types::limits::MAX_JSON_BODY_BYTES;
use pando_types::sandbox::{Command, ExecCommand};
use reqwest::Method;
use serde::Deserialize;

use crate::client::{ClientArgs, Event, Events, read};
use crate::commands::pair;
use crate::error::Failure;
use crate::output;

/// The exit code of a command that Ctrl-C ended: 128 + SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// What to run, and how.
#[derive(Debug, clap::Args)]
pub struct ExecArgs {
    /// The sandbox
    id: SandboxId,
    /// Pass standard input on: UTF-8, less than 1 MiB
    #[arg(short, long)]
    interactive: bool,
    /// Seconds until the command and all it started are killed
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// The working directory
    #[arg(long, value_name = "PATH")]
    cwd: Option<String>,
    /// Added to its environment (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    env: Vec<(String, String)>,
    /// The user's name or number
    #[arg(long)]
    user: Option<String>,
    /// The program and its arguments, which no shell touches; for a shell: `-- sh -c '…'`
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// Passes on output as it comes, and the exit code. With --json, prints one object at the end.
pub async fn run(client: &ClientArgs, args: ExecArgs) -> Result<ExitCode, Failure> {
    let request = ExecCommand {
        cmd: Command::Argv(args.command),
        timeout_seconds: args.timeout,
        cwd: args.cwd,
        env: pair::map(args.env),
        user: args.user,
        stdin: if args.interactive { Some(stdin()?) } else { None },
    };
    check_size(&request)?;
    let api = client.client()?;
    if client.json {
        let answer = api.post(&format!("/sandboxes/{}/exec", args.id), &request).await?;
        output::json(&answer)?;
        let result: Exit = read(&answer)?;
        return Ok(exit_code(result.exit_code));
    }
    let path = format!("/sandboxes/{}/exec/stream", args.id);
    let events = api.events(api.request(Method::POST, &path).json(&request)).await?;
    tokio::select! {
        outcome = follow(events) => outcome,
        // Dropping the events closes the connection, which kills the command.
        _ = tokio::signal::ctrl_c() => {
            output::say("interrupted: the command is killed");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn follow(mut events: Events) -> Result<ExitCode, Failure> {
    while let Some(event) = events.next().await? {
        match Said::of(&event)? {
            Said::Stdout(text) => output::raw(&text)?,
            Said::Stderr(text) => {
                let mut stderr = io::stderr().lock();
                stderr.write_all(text.as_bytes()).map_err(output::not_written)?;
            }
            Said::Exit(code) => return Ok(exit_code(code)),
            Said::Failed(message) => {
                let hint = "if it ran out of time, --timeout gives it more";
                return Err(Failure::new(anyhow::Error::msg(message), hint));
            }
            Said::Nothing => {}
        }
    }
    let gone = "the stream ended without an exit code; whether the command succeeded is unknown";
    Err(Failure::new(
        anyhow::Error::msg(gone),
        "`pando sandbox ls` shows whether the sandbox lives",
    ))
}

/// What one event says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Stdout(String),
    Stderr(String),
    Exit(i32),
    Failed(String),
    Nothing,
}

#[derive(Deserialize)]
struct Chunk {
    chunk: String,
}

#[derive(Deserialize)]
struct Exit {
    exit_code: i32,
}

#[derive(Deserialize)]
struct Failed {
    error: String,
}

impl Said {
    fn of(event: &Event) -> Result<Self, Failure> {
        let wrong = |error| {
            Failure::from(
                anyhow::Error::new(error).context(format!("an event `{}` of no use", event.name)),
            )
        };
        let data = event.data.as_str();
        Ok(match event.name.as_str() {
            "stdout" => Self::Stdout(serde_json::from_str::<Chunk>(data).map_err(wrong)?.chunk),
            "stderr" => Self::Stderr(serde_json::from_str::<Chunk>(data).map_err(wrong)?.chunk),
            "exit" => Self::Exit(serde_json::from_str::<Exit>(data).map_err(wrong)?.exit_code),
            "error" => Self::Failed(serde_json::from_str::<Failed>(data).map_err(wrong)?.error),
            _ => Self::Nothing,
        })
    }
}

/// Exit codes of Linux are one byte.
fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn stdin() -> Result<String, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        output::say("reading standard input until Ctrl-D");
    }
    let mut text = String::new();
    // One byte more than fits, so that too much is noticed and not cut.
    let most = u64::try_from(MAX_JSON_BODY_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    stdin.lock().take(most).read_to_string(&mut text).map_err(|error| {
        let error = anyhow::Error::new(error).context("cannot read standard input as UTF-8");
        Failure::new(error, "for other bytes, `pando sandbox cp` them first and read that file")
    })?;
    Ok(text)
}

/// Refuses here what the server would refuse after the upload.
fn check_size(request: &ExecCommand) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(request).map_err(anyhow::Error::new)?.len();
    if bytes <= MAX_JSON_BODY_BYTES {
        return Ok(());
    }
    let message =
        format!("the command and its input are {bytes} bytes; the most is {MAX_JSON_BODY_BYTES}");
    Err(Failure::usage(message, "`pando sandbox cp` the input first and read that file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, data: &str) -> Said {
        Said::of(&Event { name: name.into(), data: data.into() }).unwrap()
    }

    #[test]
    fn events_are_understood() {
        assert_eq!(said("stdout", r#"{"chunk":"a\n"}"#), Said::Stdout("a\n".into()));
        assert_eq!(said("stderr", r#"{"chunk":"b"}"#), Said::Stderr("b".into()));
        assert_eq!(said("exit", r#"{"exit_code":3,"duration_ms":1}"#), Said::Exit(3));
        assert_eq!(said("error", r#"{"error":"timeout: x"}"#), Said::Failed("timeout: x".into()));
        assert_eq!(said("new_in_2030", "?"), Said::Nothing);
        let broken = Event { name: "exit".into(), data: "{}".into() };
        assert!(Said::of(&broken).is_err());
    }
}
