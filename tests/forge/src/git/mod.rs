//! The git program: the one place that starts it.
//!
//! Every call is bounded in time and output, and sees no configuration but the
//! repository's own: a test must not depend on who runs it.

mod commit;
pub(crate) mod http;
mod repository;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

pub(crate) use commit::{Commit, Person};
pub(crate) use repository::{GitRepository, NO_COMMIT, Size, branch_ref, pull_ref};

/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// The most bytes read from one call's output.
const MAX_OUTPUT_BYTES: u64 = 8 * 1024 * 1024;
/// The most bytes of git's own complaint that are kept.
const MAX_COMPLAINT_BYTES: u64 = 4096;

/// Why a call of the git program failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It could not be started, fed or read.
    #[error("cannot run git {verb}: is git installed?")]
    Io {
        /// The git command.
        verb: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("git {verb} failed: {complaint}")]
    Failed {
        /// The git command.
        verb: String,
        /// The exit code, where it was not killed.
        code: Option<i32>,
        /// What it said.
        complaint: String,
    },
    /// It took too long and was killed.
    #[error("git {0} took longer than {limit} s", limit = CALL_LIMIT.as_secs())]
    Timeout(String),
    /// It said more than is read.
    #[error("git {0} wrote more than {MAX_OUTPUT_BYTES} bytes")]
    TooLong(String),
    /// It answered what cannot be understood.
    #[error("git {0} answered in an unknown form")]
    Unreadable(&'static str),
}

/// `git`, on this repository, with nothing of the caller's environment but `PATH`.
fn program(git_dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", git_dir)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_DIR", git_dir)
        .kill_on_drop(true);
    command
}

/// Runs one git command to its end and returns what it wrote.
async fn call(git_dir: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, GitError> {
    let verb = arguments.first().copied().unwrap_or_default().to_owned();
    let io = |source| GitError::Io { verb: verb.clone(), source };
    let mut child = program(git_dir)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let (mut stdin, stdout, stderr) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let whole = async {
        let feed = async {
            if let Some(mut stdin) = stdin.take() {
                // A git that stops reading says why on its other side.
                let _ = stdin.write_all(input).await;
            }
        };
        let ((), output, complaint) = tokio::join!(
            feed,
            read_at_most(stdout, MAX_OUTPUT_BYTES + 1),
            read_at_most(stderr, MAX_COMPLAINT_BYTES),
        );
        let (output, complaint) = (output.map_err(io)?, complaint.map_err(io)?);
        if output.len() as u64 > MAX_OUTPUT_BYTES {
            return Err(GitError::TooLong(verb.clone()));
        }
        let status = child.wait().await.map_err(io)?;
        if status.success() {
            return Ok(output);
        }
        Err(GitError::Failed {
            verb: verb.clone(),
            code: status.code(),
            complaint: String::from_utf8_lossy(&complaint).trim().to_owned(),
        })
    };
    match tokio::time::timeout(CALL_LIMIT, whole).await {
        Ok(result) => result,
        Err(_) => Err(GitError::Timeout(verb.clone())),
    }
}

/// Reads to the end or to the limit; what lies beyond it stays unread.
async fn read_at_most(
    pipe: Option<impl tokio::io::AsyncRead + Unpin>,
    limit: u64,
) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
