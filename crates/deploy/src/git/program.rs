//! The git program: the one place that starts it.
//!
//! It sees nothing of the caller's environment but `PATH`, the proxy and the
//! certificates, no configuration but what is said here, and no terminal. It runs
//! in a process group of its own, which ends with whoever waits for it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;
use tokio_util::io::ReaderStream;

use super::GitError;
use super::mirror::READ_LIMIT;

/// The bytes read at once of what is handed on.
const CHUNK_BYTES: usize = 64 * 1024;
/// The most bytes of git's own words that are kept.
const MAX_SAID_BYTES: usize = 8 * 1024;
/// What follows whatever ssh said, and is of no help.
const ADVICE: [&str; 2] =
    ["Please make sure you have the correct access rights", "and the repository exists."];
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
const CONFIG: [&str; 17] = [
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
    "repack.writeBitmaps=false",
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
    /// More of its surroundings.
    pub variables: &'a [(&'static str, OsString)],
    pub arguments: &'a [&'a str],
    /// What it reads.
    pub input: &'a [u8],
    pub limit: Duration,
}

impl<'a> Call<'a> {
    /// A question about what is here.
    pub(super) fn new(dir: &'a Path, arguments: &'a [&'a str]) -> Self {
        let limit = READ_LIMIT;
        Self { dir, config: &[], variables: &[], arguments, input: &[], limit }
    }

    fn verb(&self) -> &'static str {
        const VERBS: [&str; 15] = [
            "init",
            "fetch",
            "ls-remote",
            "rev-parse",
            "rev-list",
            "ls-tree",
            "cat-file",
            "archive",
            "config",
            "check-attr",
            "for-each-ref",
            "pack-objects",
            "update-ref",
            "repack",
            "prune",
        ];
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
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir)
            .args(self.arguments)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() })
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

    /// Runs it to its end; its output. Where that is longer than `limit_bytes`, it ends there.
    pub(super) async fn run(self, limit_bytes: usize) -> Result<Vec<u8>, GitError> {
        let verb = self.verb();
        let whole = async {
            let mut running = self.spawn()?;
            let stdin = running.child.stdin.take();
            let (stdout, stderr) = (running.child.stdout.take(), running.child.stderr.take());
            let ((), output, said, status) = tokio::join!(
                feed(stdin, self.input),
                head(stdout, limit_bytes),
                keep(stderr, MAX_SAID_BYTES),
                running.child.wait(),
            );
            running.group = None;
            let status = status.map_err(|source| GitError::Start { verb, source })?;
            // Whoever is not heard to the end fails, and that is not why.
            let (output, is_all) = output;
            if !is_all {
                return Err(GitError::TooLarge { what: verb, limit_bytes: limit_bytes as u64 });
            }
            succeeded(verb, status, &said)?;
            Ok(output)
        };
        let limit = self.limit;
        tokio::time::timeout(limit, whole).await.unwrap_or(Err(GitError::Timeout { verb, limit }))
    }

    /// Starts it and hands its output out as it comes. The stream ends in an error
    /// unless git succeeded within its limit.
    pub(super) fn stream(self) -> Result<BoxStream<'static, Result<Bytes, GitError>>, GitError> {
        let verb = self.verb();
        let mut running = self.spawn()?;
        let missing = || GitError::Start { verb, source: std::io::ErrorKind::BrokenPipe.into() };
        let stdout = running.child.stdout.take().ok_or_else(missing)?;
        let stderr = running.child.stderr.take();
        let said = tokio::spawn(keep(stderr, MAX_SAID_BYTES));
        let output = ReaderStream::with_capacity(stdout, CHUNK_BYTES);
        let (limit, end) = (self.limit, Instant::now() + self.limit);
        let state = Some(Streaming { running, output, said });
        Ok(stream::unfold(state, move |state| async move {
            let mut state = state?;
            let Ok(next) = tokio::time::timeout_at(end, state.output.next()).await else {
                return Some((Err(GitError::Timeout { verb, limit }), None));
            };
            match next {
                Some(Ok(bytes)) => Some((Ok(bytes), Some(state))),
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
    said: tokio::task::JoinHandle<Vec<u8>>,
}

impl Streaming {
    async fn end(mut self, verb: &'static str) -> Result<(), GitError> {
        let status = self.running.child.wait().await;
        self.running.group = None;
        let status = status.map_err(|source| GitError::Start { verb, source })?;
        let said = self.said.await.unwrap_or_default();
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
    let says = |line: &&str| !line.is_empty() && !ADVICE.contains(line);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(says).collect();
    let said = lines[lines.len().saturating_sub(3)..].join("; ");
    Err(GitError::Failed { verb, code: status.code(), said })
}

/// Writes all, unless it ends before: its status tells why.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}

/// Reads the beginning, and closes the pipe; whether that was all.
async fn head(reader: Option<impl AsyncRead + Unpin>, limit_bytes: usize) -> (Vec<u8>, bool) {
    let mut head = Vec::new();
    if let Some(reader) = reader {
        // A pipe that breaks is a git that ended, and its status tells how.
        let _ = reader.take(limit_bytes as u64 + 1).read_to_end(&mut head).await;
    }
    let is_all = head.len() <= limit_bytes;
    head.truncate(limit_bytes);
    (head, is_all)
}

/// Reads all, keeps the beginning.
async fn keep(reader: Option<impl AsyncRead + Unpin>, limit_bytes: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut reader) = reader {
        let _ = (&mut reader).take(limit_bytes as u64).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
    }
    kept
}
