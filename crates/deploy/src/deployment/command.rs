//! Install and build: a command in the sandbox, its output live in the log.

use std::time::Duration;

use futures_util::StreamExt;
use pando_node::guest::{ExecEvent, ExecInput};

use super::lines::Lines;
use super::run::{Halt, Run, in_sandbox};
use crate::detect::{Plan, quoted};
use crate::machine::{Machine, broken_off, exec};

/// How long each may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A command that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Install,
    Build,
}

impl Run {
    pub(super) async fn command(
        &self,
        machine: &dyn Machine,
        step: Step,
        plan: &Plan,
    ) -> Result<(), Halt> {
        let (step, command, folder) = match step {
            Step::Install => ("install", &plan.install, in_sandbox(&plan.install_folder)),
            Step::Build => ("build", &plan.build, self.folder()),
        };
        let Some(command) = command else {
            self.say(format!("Nothing to {step}.")).await;
            return Ok(());
        };
        self.say(format!("$ {command}")).await;
        let mut exec = exec(&["/bin/sh", "-c", &self.script(plan, command)]);
        exec.cwd = Some(folder);
        exec.timeout_ms = u64::try_from(COMMAND_LIMIT.as_millis()).ok();
        // Tools ask nothing and draw no bars where this is set. NODE_ENV is not:
        // a build needs what npm leaves out in production.
        exec.env.insert("CI".into(), "1".into());
        exec.env.extend(plan.env.clone());
        exec.env.extend(self.env.clone());
        let lost = |error| Halt::Failed(format!("{step} broke off: {error}"));
        let mut output = machine.run(exec, ExecInput::Empty).await.map_err(lost)?;
        let mut outputs = [Lines::new(self.redactor.clone()), Lines::new(self.redactor.clone())];
        let done = loop {
            let event = output.next().await.unwrap_or_else(|| Err(broken_off()));
            let lines = match event.map_err(lost)? {
                ExecEvent::Stdout(bytes) => outputs[0].push(&bytes),
                ExecEvent::Stderr(bytes) => outputs[1].push(&bytes),
                ExecEvent::Exit(done) => break done,
            };
            for line in lines {
                self.log.line(self.row.status, line).await;
            }
        };
        for line in outputs.iter_mut().filter_map(Lines::finish) {
            self.log.line(self.row.status, line).await;
        }
        if done.timed_out {
            let minutes = COMMAND_LIMIT.as_secs() / 60;
            return Err(Halt::Failed(format!("`{command}` took longer than {minutes} minutes")));
        }
        if done.exit_code != 0 {
            return Err(Halt::Failed(format!(
                "`{command}` failed with exit code {}",
                done.exit_code
            )));
        }
        Ok(())
    }

    /// A command for the shell, with the folders of the plan before its PATH.
    pub(super) fn script(&self, plan: &Plan, command: &str) -> String {
        if plan.path.is_empty() {
            return command.to_owned();
        }
        let folders = plan.path.iter().map(|path| quoted(&format!("{}/{path}", self.folder())));
        let folders = folders.collect::<Vec<_>>().join(":");
        format!("export PATH={folders}:\"$PATH\"\n{command}")
    }
}
