//! `pando sandbox shell`.

mod escape;
mod raw_mode;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use pando_types::SandboxId;
use rustix::termios::tcgetwinsize;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use self::escape::{Escape, Typed};
use self::raw_mode::RawMode;
use super::stdin::Stdin;
use crate::client::{ClientArgs, Said, Socket};
use crate::error::Failure;
use crate::output;

/// The exit code of a shell that was left: 128 + SIGHUP, as shells have it.
const LEFT: u8 = 129;

/// Where, and as whom. Enter, then `~.`, leaves a shell that does not answer.
#[derive(Debug, clap::Args)]
pub struct ShellArgs {
    /// The sandbox
    id: SandboxId,
    /// The user's name or number
    #[arg(long)]
    user: Option<String>,
    /// The working directory
    #[arg(long, value_name = "PATH")]
    cwd: Option<String>,
    /// A program and its arguments instead of the user's shell
    #[arg(last = true)]
    command: Vec<String>,
}

/// Passes keys and screen, and the exit code.
pub async fn run(client: &ClientArgs, args: ShellArgs) -> Result<ExitCode, Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::usage(
            "shell needs a terminal on both ends",
            "for scripts: `pando sandbox exec ID -- sh`",
        ));
    }
    let api = client.client()?;
    let size = size()?;
    let mut query = vec![("rows", size.0.to_string()), ("cols", size.1.to_string())];
    query.extend(args.user.map(|user| ("user", user)));
    query.extend(args.cwd.map(|cwd| ("cwd", cwd)));
    query.extend(std::env::var("TERM").ok().map(|term| ("term", term)));
    if !args.command.is_empty() {
        query.push(("cmd", command_line(&args.command)));
    }
    let socket = api.socket(&format!("/sandboxes/{}/exec/pty", args.id), &query).await?;
    // From here to the end of this scope the terminal is raw; every way out restores it.
    let raw = RawMode::enter().map_err(no_terminal)?;
    let outcome = converse(socket).await;
    drop(raw);
    if let Ok(End::Left) = &outcome {
        output::say("\nleft: what ran in the terminal was hung up");
    }
    match outcome? {
        End::Exit(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))),
        End::Left => Ok(ExitCode::from(LEFT)),
    }
}

/// How a shell ended.
enum End {
    Exit(i64),
    Left,
}

async fn converse(socket: Socket) -> Result<End, Failure> {
    let Socket { mut speak, mut listen } = socket;
    let mut keyboard = Stdin::start().map_err(no_terminal)?;
    let mut resized = signal(SignalKind::window_change()).map_err(anyhow::Error::new)?;
    let mut ended = signal(SignalKind::terminate()).map_err(anyhow::Error::new)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(anyhow::Error::new)?;
    let mut escape = Escape::default();
    loop {
        tokio::select! {
            said = listen.next() => match said? {
                Some(Said::Bytes(bytes)) => show(&bytes)?,
                Some(Said::Json(value)) => {
                    if let Some(code) = value["exit"].as_i64() {
                        return Ok(End::Exit(code));
                    }
                    if let Some(failure) = failure(&value) {
                        return Err(failure);
                    }
                }
                None => return Err(lost()),
            },
            typed = keyboard.next() => match typed {
                Some(bytes) => match escape.pass(&bytes) {
                    Typed::Keys(keys) if keys.is_empty() => {}
                    Typed::Keys(keys) => speak.bytes(keys).await?,
                    Typed::Leave => return Ok(End::Left),
                },
                None => return Ok(End::Left),
            },
            _ = resized.recv() => {
                let (rows, cols) = size()?;
                speak.json(&json!({"resize": {"rows": rows, "cols": cols}})).await?;
            }
            _ = ended.recv() => return Ok(End::Left),
            _ = hung_up.recv() => return Ok(End::Left),
        }
    }
}

fn show(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(output::not_written)
}

fn failure(value: &Value) -> Option<Failure> {
    let error = anyhow::Error::msg(value["error"].as_str()?.to_owned());
    let hint =
        value["hint"].as_str().unwrap_or("`pando sandbox ls` shows whether the sandbox lives");
    Some(Failure::new(error, hint))
}

fn lost() -> Failure {
    let error = anyhow::anyhow!("the terminal ended without an exit code");
    Failure::new(error, "`pando sandbox ls` shows whether the sandbox lives")
}

fn no_terminal(error: io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("cannot use this terminal");
    Failure::new(error, "for scripts: `pando sandbox exec ID -- sh`")
}

/// Lines and characters of this terminal; what is usual where it does not say.
fn size() -> Result<(u16, u16), Failure> {
    let size = tcgetwinsize(io::stdout()).map_err(|error| no_terminal(error.into()))?;
    let side = |side: u16, usual| if side == 0 { usual } else { side.min(1000) };
    Ok((side(size.ws_row, 24), side(size.ws_col, 80)))
}

/// An argv as a shell's command, each word quoted.
fn command_line(argv: &[String]) -> String {
    let quoted = argv.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    format!("exec {}", quoted.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        let argv = ["printf", "%s|", "a b", "it's", "$HOME"].map(str::to_owned);
        assert_eq!(command_line(&argv), r"exec 'printf' '%s|' 'a b' 'it'\''s' '$HOME'");
    }
}
