//! The machine that builds: scripts that run in it, and what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::frame::FrameError;
use pando_guest_protocol::session::{Exec, ExecDone};
use pando_types::{Epoch, OrgId, SandboxId};

use super::dockerfile::Step;
use super::halt::Halt;
use super::log::{BuildLog, Lines};
use crate::guest::{ExecEvent, ExecInput, Guest, GuestError};
use crate::node::Node;

const COMMON: &str = include_str!("scripts/common.sh");
/// The most of a line that a failure repeats.
const MAX_CAUSE_CHARS: usize = 500;
/// How long the small steps around a build may take each: formatting, copying.
const STEP_LIMIT: Duration = Duration::from_secs(900);
/// What a script ends with that found no room on the new disk.
pub(super) const FULL: i32 = 28;

/// A machine that builds. Whoever made it removes it.
pub(super) struct Builder {
    guest: Guest,
}

/// A script of it.
pub(super) struct Script<'a> {
    pub text: &'a str,
    pub arguments: &'a [&'a str],
    pub env: BTreeMap<String, String>,
    pub input: ExecInput,
    pub limit: Duration,
}

/// What a script said, as far as a failure needs it.
#[derive(Default)]
pub(super) struct Heard {
    /// The step of a Dockerfile that it was in.
    pub step: Option<Step>,
    /// The last line that tells of an error, or the last of all.
    pub cause: Option<String>,
}

impl Builder {
    /// The machine `id` of `node`, which runs.
    pub(super) async fn reach(node: &Node, id: SandboxId, org: OrgId) -> Result<Self, Halt> {
        Ok(Self { guest: node.access(id, Some(org)).await? })
    }

    /// Runs a script, whose lines go to the log; returns how it ended and what it said.
    pub(super) async fn run(
        &self,
        log: &mut impl BuildLog,
        script: Script<'_>,
    ) -> Result<(ExecDone, Heard), Halt> {
        let (exec, input) = exec(script);
        let mut events = self.guest.exec_stream(exec, input).await?;
        let mut outputs = [Lines::default(), Lines::default()];
        let mut heard = Heard::default();
        let done = loop {
            let event = events.next().await.unwrap_or_else(|| Err(FrameError::Ended.into()))?;
            let lines = match event {
                ExecEvent::Stdout(bytes) => outputs[0].push(&bytes),
                ExecEvent::Stderr(bytes) => outputs[1].push(&bytes),
                ExecEvent::Exit(done) => break done,
            };
            let lines: Vec<String> = lines.into_iter().map(|line| log.shown(line)).collect();
            heard.take(&lines);
            log.lines(&lines).await;
        };
        let rest = outputs.iter_mut().filter_map(Lines::finish);
        let rest: Vec<String> = rest.map(|line| log.shown(line)).collect();
        heard.take(&rest);
        log.lines(&rest).await;
        Ok((done, heard))
    }

    /// Runs a script that must succeed. What it says is told only when it does not.
    pub(super) async fn must(
        &self,
        log: &mut impl BuildLog,
        script: Script<'_>,
    ) -> Result<(), Halt> {
        let (done, heard) = self.run(log, script).await?;
        if done.exit_code == 0 {
            return Ok(());
        }
        let cause = heard.cause.unwrap_or_else(|| format!("exit code {}", done.exit_code));
        Err(Halt::Failed(format!("the machine that builds failed: {cause}")))
    }

    /// What a script writes, up to so many bytes.
    pub(super) async fn ask(
        &self,
        script: Script<'_>,
        limit_bytes: usize,
    ) -> Result<Vec<u8>, Halt> {
        let (exec, input) = exec(script);
        let finished = self.guest.exec_stream(exec, input).await?.finish(limit_bytes).await?;
        if finished.truncated {
            return Err(GuestError::TooLarge { limit_bytes }.into());
        }
        if finished.done.exit_code != 0 {
            let said = crate::quote(&String::from_utf8_lossy(&finished.stderr));
            return Err(Halt::Failed(format!("the machine that builds failed: {said}")));
        }
        Ok(finished.stdout.apart().0)
    }

    /// Writes a small file.
    pub(super) async fn write(&self, path: &str, text: &str) -> Result<(), Halt> {
        let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
        let body = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
        self.guest.write_file(path, 0o644, body).await?;
        Ok(())
    }
}

/// Removes a machine of a build. One that stays is removed at the next start.
pub(super) async fn remove(node: &Node, id: SandboxId) {
    if let Err(error) = node.delete(id, Epoch::first()).await {
        let error = crate::chain(&error);
        tracing::warn!(sandbox = id.short(), error, "a build's machine stays for now");
    }
}

/// A script without input.
pub(super) fn step<'a>(text: &'a str, arguments: &'a [&'a str]) -> Script<'a> {
    let (env, input) = (BTreeMap::new(), ExecInput::Empty);
    Script { text, arguments, env, input, limit: STEP_LIMIT }
}

fn exec(script: Script<'_>) -> (Exec, ExecInput) {
    let text = format!("{COMMON}{}", script.text);
    let mut argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), text, "sh".to_owned()];
    argv.extend(script.arguments.iter().map(|argument| (*argument).to_owned()));
    let exec = Exec {
        argv,
        cwd: Some("/".to_owned()),
        env: script.env,
        user: None,
        timeout_ms: u64::try_from(script.limit.as_millis()).ok(),
        detached_log: None,
        log_name: None,
        root: None,
    };
    (exec, script.input)
}

impl Heard {
    fn take(&mut self, lines: &[String]) {
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            if let Some(step) = Step::of_line(line) {
                self.step = Some(step);
            }
            let is_error = |line: &str| line.starts_with("Error") || line.starts_with("error");
            // What follows an error explains nothing.
            if is_error(line) || !self.cause.as_deref().is_some_and(is_error) {
                self.cause = Some(line.chars().take(MAX_CAUSE_CHARS).collect());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_and_the_last_step_are_kept() {
        let mut heard = Heard::default();
        heard.take(&["STEP 1/2: FROM x".into(), "working".into(), String::new()]);
        assert_eq!(heard.cause.as_deref(), Some("working"));
        heard.take(&["STEP 2/2: RUN false".into(), "Error: it failed".into(), "bye".into()]);
        assert_eq!(heard.cause.as_deref(), Some("Error: it failed"));
        assert_eq!(heard.step, Step::of_line("STEP 2/2: RUN false"));
    }
}
