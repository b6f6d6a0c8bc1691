//! `pando sandbox exec`.

mod interrupt;
mod speak;
mod wire;

use std::io::{self, Write};
use std::process::ExitCode;

use pando_types::SandboxId;
use pando_types::limits::{MAX_EXEC_OUTPUT_BYTES, MAX_WEBSOCKET_MESSAGE_BYTES};
use pando_types::sandbox::{Command, ExecCommand, ExecResult};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use self::wire::Event;
use super::stdin::Stdin;
use crate::client::{ClientArgs, Listen};
use crate::commands::pair;
use crate::error::Failure;
use crate::output;

/// What to run, and how. Standard input goes to the command, bytes as they are; Ctrl-C goes
/// to it once, and the second time ends it.
#[derive(Debug, clap::Args)]
pub struct ExecArgs {
    /// The sandbox
    id: SandboxId,
    /// Give it no standard input: for a loop that reads its own
    #[arg(short, long)]
    no_stdin: bool,
    /// What is always done: scripts may still ask for it
    #[arg(short, long, hide = true, conflicts_with = "no_stdin")]
    interactive: bool,
    /// Seconds until the command and all it started are killed [default: 600]
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

/// Passes on input, output and Ctrl-C, and the exit code. With --json, prints one object at the end.
pub async fn run(client: &ClientArgs, args: ExecArgs) -> Result<ExitCode, Failure> {
    let start = wire::start(&ExecCommand {
        cmd: Command::Argv(args.command),
        timeout_seconds: args.timeout,
        cwd: args.cwd,
        env: pair::map(args.env),
        user: args.user,
        stdin: None,
    })?;
    let bytes = start.to_string().len();
    if bytes > MAX_WEBSOCKET_MESSAGE_BYTES {
        let most = MAX_WEBSOCKET_MESSAGE_BYTES;
        let message = format!("the command is {bytes} bytes long; the most is {most}");
        let hint = "pipe the script in: `pando sandbox exec ID -- sh < script`";
        return Err(Failure::usage(message, hint));
    }
    let mut socket =
        client.client()?.socket(&format!("/sandboxes/{}/exec/ws", args.id), &[]).await?;
    socket.speak.json(&start).await?;
    let stdin = if args.no_stdin { None } else { Some(Stdin::start().map_err(no_input)?) };
    let (interrupt, interrupts) = mpsc::channel(1);
    let (taken, told) = watch::channel(0);
    // Each in a task of its own: writing to a stdout that nobody reads blocks this one.
    let _interrupting = AbortOnDropHandle::new(tokio::spawn(interrupt::pass_on(interrupt)));
    let speaking = speak::all(socket.speak, stdin, interrupts, told);
    let _speaking = AbortOnDropHandle::new(tokio::spawn(speaking));
    if client.json {
        let mut kept = Kept::default();
        let end = follow(socket.listen, &taken, &mut kept).await?;
        output::json(
            &serde_json::to_value(kept.result(end.code, end.duration_ms))
                .map_err(anyhow::Error::new)?,
        )?;
        return Ok(exit_code(end.code));
    }
    let end = follow(socket.listen, &taken, &mut Through).await?;
    Ok(exit_code(end.code))
}

/// Where output goes.
pub(crate) trait Outputs {
    fn stdout(&mut self, bytes: &[u8]) -> Result<(), Failure>;
    fn stderr(&mut self, bytes: &[u8]) -> Result<(), Failure>;
}

/// To this program's own.
pub(crate) struct Through;

impl Outputs for Through {
    fn stdout(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        output::bytes(bytes)
    }

    fn stderr(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        io::stderr().lock().write_all(bytes).map_err(output::not_written)
    }
}

/// Into memory, up to the limit of an answer.
#[derive(Default)]
pub(crate) struct Kept {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    truncated: bool,
}

impl Kept {
    fn keep(kept: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let room = MAX_EXEC_OUTPUT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        bytes.len() > room
    }

    pub(crate) fn result(self, exit_code: i32, duration_ms: u64) -> ExecResult {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        ExecResult {
            stdout: text(self.stdout),
            stderr: text(self.stderr),
            exit_code,
            duration_ms,
            truncated: self.truncated,
        }
    }
}

impl Outputs for Kept {
    fn stdout(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.truncated |= Self::keep(&mut self.stdout, bytes);
        Ok(())
    }

    fn stderr(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.truncated |= Self::keep(&mut self.stderr, bytes);
        Ok(())
    }
}

async fn follow(
    mut listen: Listen,
    taken: &watch::Sender<u64>,
    outputs: &mut impl Outputs,
) -> Result<wire::End, Failure> {
    while let Some(said) = listen.next().await? {
        match wire::event(said)? {
            Event::Stdout(bytes) => outputs.stdout(&bytes)?,
            Event::Stderr(bytes) => outputs.stderr(&bytes)?,
            Event::Taken(inputs) => drop(taken.send_replace(inputs)),
            Event::Exit(end) => return Ok(end),
            Event::Failed(failure) => return Err(failure),
            Event::Nothing => {}
        }
    }
    let gone =
        "the connection ended without an exit code; whether the command succeeded is unknown";
    let hint = "`pando sandbox ls` shows whether the sandbox lives";
    Err(Failure::new(anyhow::Error::msg(gone), hint))
}

/// Exit codes of Linux are one byte.
pub(crate) fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn no_input(error: io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("cannot read standard input");
    Failure::new(error, "with --no-stdin the command gets none")
}
