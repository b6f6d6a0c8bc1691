//! The git program: the one place that starts it.
//!
//! It sees nothing of the caller's environment but `PATH`, the proxy and the
//! certificates, no configuration but what is said here, and no terminal. It runs
//! in a process group of its own, which ends with whoever waits for it.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::io::ReaderStream;

use super::GitError;

/// The most bytes of git's own words that are kept.
const MAX_SAID_BYTES: usize = 8 * 1024;
/// The largest file that git may write: one pack. What is larger does not become a preview.
const MAX_FILE_BYTES: u64 = 2 << 30;
/// What git may know of its surroundings.
const KEPT_VARIABLES: [&str; 13] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
];
/// What holds for every call. The first line refuses every transport, and the
/// callers allow the one they need.
const CONFIG: [&str; 16] = [
    "protocol.allow=never",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "fetch.fsckObjects=true",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "tar.umask=0022",
    "transfer.bundleURI=false",
];

/// Whether a proxy stands between this host and others.
pub(super) fn is_proxied() -> bool {
    KEPT_VARIABLES
        .iter()
        .filter(|name| {
            name.to_ascii_lowercase().ends_with("s_proxy") || name.eq_ignore_ascii_case("all_proxy")
        })
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// One call of git, in one repository.
pub(super) struct Call<'a> {
    pub dir: &'a Path,
    /// More settings, `name=value`.
    pub config: &'a [String],
    pub arguments: &'a [&'a str],
    pub limit: Duration,
}

impl Call<'_> {
    fn verb(&self) -> &'static str {
        const VERBS: [&str; 7] =
            ["init", "fetch", "ls-remote", "rev-parse", "ls-tree", "cat-file", "archive"];
        let first = self.arguments.first();
        VERBS.into_iter().find(|verb| Some(verb) == first).unwrap_or("git")
    }

    fn spawn(&self) -> Result<Running, GitError> {
        let mut command = Command::new("git");
        command.env_clear();
        for name in KEPT_VARIABLES {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for setting in CONFIG.into_iter().chain(self.config.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_DIR", self.dir)
            .env("HOME", self.dir)
            .env("LC_ALL", "C")
            .current_dir(self.dir)
            .args(self.arguments)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child =
            command.spawn().map_err(|source| GitError::Start { verb: self.verb(), source })?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // Its helpers start after it and inherit the limit.
        let limit = Rlimit { current: Some(MAX_FILE_BYTES), maximum: Some(MAX_FILE_BYTES) };
        if let Some(pid) = pid {
            let _ = rustix::process::prlimit(Some(pid), Resource::Fsize, limit);
            // It reads what strangers wrote: not to be spared where the server is.
            let path = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
            let _ = std::fs::write(path, "0");
        }
        Ok(Running { child, group: pid })
    }

    /// Runs it to its end; its output, unless that is longer than `limit_bytes`.
    pub(super) async fn run(self, limit_bytes: usize) -> Result<Vec<u8>, GitError> {
        let verb = self.verb();
        let whole = async {
            let mut running = self.spawn()?;
            let (stdout, stderr) = (running.child.stdout.take(), running.child.stderr.take());
            let (output, said, status) = tokio::join!(
                keep(stdout, limit_bytes),
                keep(stderr, MAX_SAID_BYTES),
                running.child.wait(),
            );
            running.group = None;
            let status = status.map_err(|source| GitError::Start { verb, source })?;
            succeeded(verb, status, &said.0)?;
            if output.1 {
                return Err(GitError::TooLarge { what: verb, limit_bytes: limit_bytes as u64 });
            }
            Ok(output.0)
        };
        let limit = self.limit;
        tokio::time::timeout(limit, whole).await.unwrap_or(Err(GitError::Timeout { verb, limit }))
    }

    /// Starts it and hands its output out as it comes. The stream ends in an error
    /// unless git succeeded, and after `limit_bytes`.
    pub(super) fn stream(
        self,
        limit_bytes: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, GitError>>, GitError> {
        let verb = self.verb();
        let mut running = self.spawn()?;
        let missing = || GitError::Start { verb, source: std::io::ErrorKind::BrokenPipe.into() };
        let stdout = running.child.stdout.take().ok_or_else(missing)?;
        let stderr = running.child.stderr.take();
        let said = tokio::spawn(keep(stderr, MAX_SAID_BYTES));
        let state =
            Some(Streaming { running, output: ReaderStream::new(stdout), said, left: limit_bytes });
        Ok(stream::unfold(state, move |state| async move {
            let mut state = state?;
            match state.output.next().await {
                Some(Ok(bytes)) => match state.left.checked_sub(bytes.len() as u64) {
                    Some(left) => {
                        state.left = left;
                        Some((Ok(bytes), Some(state)))
                    }
                    None => Some((Err(GitError::TooLarge { what: "tree", limit_bytes }), None)),
                },
                Some(Err(source)) => Some((Err(GitError::Start { verb, source }), None)),
                None => state.end(verb).await.err().map(|error| (Err(error), None)),
            }
        })
        .boxed())
    }
}

struct Streaming {
    running: Running,
    output: ReaderStream<ChildStdout>,
    said: tokio::task::JoinHandle<(Vec<u8>, bool)>,
    left: u64,
}

impl Streaming {
    async fn end(mut self, verb: &'static str) -> Result<(), GitError> {
        let status = self.running.child.wait().await;
        self.running.group = None;
        let status = status.map_err(|source| GitError::Start { verb, source })?;
        let said = self.said.await.map(|(said, _)| said).unwrap_or_default();
        succeeded(verb, status, &said)
    }
}

/// A running git. Dropped before its end, it takes its helpers along.
struct Running {
    child: Child,
    /// Its process group, until it was waited for: then the number may be another's.
    group: Option<Pid>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

fn succeeded(verb: &'static str, status: ExitStatus, said: &[u8]) -> Result<(), GitError> {
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines[lines.len().saturating_sub(3)..].join("; ");
    Err(GitError::Failed { verb, code: status.code(), said })
}

/// Reads all, keeps the beginning; whether there was more.
async fn keep(reader: Option<impl AsyncRead + Unpin>, limit_bytes: usize) -> (Vec<u8>, bool) {
    let mut kept = Vec::new();
    let Some(mut reader) = reader else {
        return (kept, false);
    };
    // A pipe that breaks is a git that ended, and its status tells how.
    let _ = (&mut reader).take(limit_bytes as u64).read_to_end(&mut kept).await;
    let rest = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.unwrap_or(0);
    (kept, rest > 0)
}
