//! Running outside tools to their end: no shell, bounded output, a time limit,
//! and an error that carries what the tool said.
//!
//! None of them is on the create path; they prepare what creates take.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// How long a tool may take, unless the caller knows better.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);
/// How much of each output is kept, in bytes; what follows is read and dropped.
const MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// What a tool that succeeded said.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Its standard output, up to 1 MiB.
    pub stdout: Vec<u8>,
    /// Its standard error, up to 1 MiB.
    pub stderr: Vec<u8>,
}

/// A tool that could not be run, failed, or took too long.
#[derive(Debug)]
pub struct CommandError {
    /// The program and its arguments.
    pub command: String,
    /// What went wrong.
    pub kind: CommandErrorKind,
}

/// What went wrong with a tool.
#[derive(Debug)]
pub enum CommandErrorKind {
    /// It could not be started or spoken to.
    Io(std::io::Error),
    /// It ended with another status than 0.
    Failed {
        /// The status, as the system prints it.
        status: String,
        /// The end of what it said.
        said: String,
    },
    /// It was killed at its time limit.
    TimedOut(Duration),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CommandErrorKind::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write!(
                    f,
                    "`{}` is not installed",
                    self.command.split(' ').next().unwrap_or_default()
                )
            }
            CommandErrorKind::Io(error) => write!(f, "`{}` could not run: {error}", self.command),
            CommandErrorKind::Failed { status, said } => {
                write!(f, "`{}` failed ({status}): {said}", self.command)
            }
            CommandErrorKind::TimedOut(limit) => {
                write!(f, "`{}` took longer than {} s", self.command, limit.as_secs())
            }
        }
    }
}

impl std::error::Error for CommandError {}

/// A tool, its arguments and its limits.
#[derive(Debug)]
pub struct Tool<'a> {
    program: &'a str,
    arguments: Vec<String>,
    stdin: Option<&'a [u8]>,
    limit: Duration,
    environment: Vec<(String, String)>,
    dir: Option<&'a std::path::Path>,
}

impl<'a> Tool<'a> {
    /// `program`, found by PATH, with these arguments.
    pub fn new<A: AsRef<str>>(program: &'a str, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments =
            arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let environment = Vec::new();
        Self { program, arguments, stdin: None, limit: DEFAULT_LIMIT, environment, dir: None }
    }

    /// Gives it this standard input; it has none otherwise.
    #[must_use]
    pub fn stdin(mut self, bytes: &'a [u8]) -> Self {
        self.stdin = Some(bytes);
        self
    }

    /// Gives it this much time.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Adds to its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it in this folder.
    #[must_use]
    pub fn dir(mut self, dir: &'a std::path::Path) -> Self {
        self.dir = Some(dir);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// [`CommandError`] unless it ended with status 0. Dropping the future kills it.
    pub async fn run(self) -> Result<Output, CommandError> {
        let command = std::iter::once(self.program)
            .chain(self.arguments.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" ");
        let limit = self.limit;
        let kind = match tokio::time::timeout(limit, self.complete()).await {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(kind)) => kind,
            Err(_) => CommandErrorKind::TimedOut(limit),
        };
        Err(CommandError { command, kind })
    }

    async fn complete(self) -> Result<Output, CommandErrorKind> {
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .envs(self.environment)
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(dir) = self.dir {
            command.current_dir(dir);
        }
        let mut child = command.spawn().map_err(CommandErrorKind::Io)?;
        let (input, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let (Some(mut input), Some(bytes)) = (input, self.stdin) {
                // A tool that ends without reading all of it says so by its status.
                let _ = input.write_all(bytes).await;
            }
        };
        let ((), stdout, stderr, status) =
            tokio::join!(feed, bounded(stdout), bounded(stderr), child.wait());
        let status = status.map_err(CommandErrorKind::Io)?;
        if status.success() {
            return Ok(Output { stdout, stderr });
        }
        let said = if stderr.is_empty() { &stdout } else { &stderr };
        let said = String::from_utf8_lossy(said).trim().to_owned();
        let skip = said.chars().count().saturating_sub(2000);
        Err(CommandErrorKind::Failed {
            status: status.to_string(),
            said: said.chars().skip(skip).collect(),
        })
    }
}

/// [`Tool::run`] with the default limit.
///
/// # Errors
/// As [`Tool::run`].
pub async fn run(
    program: &str,
    arguments: &[&str],
    stdin: Option<&[u8]>,
) -> Result<Output, CommandError> {
    let tool = Tool::new(program, arguments);
    match stdin {
        Some(bytes) => tool.stdin(bytes).run().await,
        None => tool.run().await,
    }
}

async fn bounded(reader: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut reader) = reader {
        let _ = (&mut reader).take(MAX_OUTPUT_BYTES as u64).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_carries_what_the_tool_said() {
        let error = run("sh", &["-c", "echo no such luck >&2; exit 3"], None).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.ends_with("no such luck"), "{text}");
    }

    #[tokio::test]
    async fn output_is_bounded_and_input_is_given() {
        let output = run("cat", &[], Some(b"hello")).await.unwrap();
        assert_eq!(output.stdout, b"hello");
        let output = run("sh", &["-c", "yes | head -c 3000000"], None).await.unwrap();
        assert_eq!(output.stdout.len(), MAX_OUTPUT_BYTES);
    }

    #[tokio::test]
    async fn a_tool_is_killed_at_its_limit_and_a_missing_one_is_named() {
        let slow = Tool::new("sleep", ["60"]).limit(Duration::from_millis(50)).run().await;
        assert!(matches!(slow.unwrap_err().kind, CommandErrorKind::TimedOut(_)));
        let missing = run("no-such-tool-here", &["-x"], None).await.unwrap_err();
        assert_eq!(missing.to_string(), "`no-such-tool-here` is not installed");
    }
}
