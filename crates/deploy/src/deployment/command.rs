//! Install and build: a command in the sandbox, its output live in the log.

use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::session::Exec;
use pando_node::guest::{ExecEvent, ExecInput};

use super::lines::Lines;
use super::place::Place;
use super::run::{Halt, Run, in_sandbox};
use crate::detect::Plan;
use crate::machine::{Machine, broken_off};

/// How long each may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(15 * 60);

/// The exit code of what was ended by SIGKILL: 128 and its number.
const KILLED: i32 = 137;

/// A command of the plan that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Install,
    /// What of install is not done when it was done before.
    Hooks,
    Build,
    /// Migrates, for instance: what must be done before the new version starts.
    Release,
}

impl Run {
    pub(super) async fn command(
        &self,
        machine: &dyn Machine,
        step: Step,
        plan: &Plan,
    ) -> Result<(), Halt> {
        let (name, command, folder) = match step {
            Step::Install => ("install", &plan.install, Some(in_sandbox(&plan.install_folder))),
            Step::Hooks => ("install", &plan.install_hooks, Some(in_sandbox(&plan.install_folder))),
            Step::Build => ("build", &plan.build, None),
            Step::Release => ("release", &plan.release, None),
        };
        let Some(command) = command else {
            // Most apps have none, and miss nothing.
            if matches!(step, Step::Install | Step::Build) {
                self.say(format!("Nothing to {name}.")).await;
            }
            return Ok(());
        };
        self.say(format!("$ {command}")).await;
        let env = match step {
            Step::Install | Step::Hooks => self.environment(plan).installing(),
            Step::Build => self.environment(plan).building(),
            Step::Release => self.environment(plan).running(),
        };
        let place = Place::of(&self.app, plan);
        let mut exec = place.exec(place.shell(command), env, COMMAND_LIMIT);
        if let Some(folder) = folder {
            exec.cwd = Some(folder);
        }
        self.to_its_end(machine, &format!("`{command}`"), exec).await
    }

    /// Runs a command that is `what` to its owner; its output is the log's.
    pub(super) async fn to_its_end(
        &self,
        machine: &dyn Machine,
        what: &str,
        mut exec: Exec,
    ) -> Result<(), Halt> {
        exec.timeout_ms = u64::try_from(COMMAND_LIMIT.as_millis()).ok();
        let lost = |error| Halt::Failed(format!("{what} broke off: {error}"));
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
            return Err(Halt::Failed(format!("{what} took longer than {minutes} minutes")));
        }
        if done.exit_code != 0 {
            let killed = if done.exit_code == KILLED {
                ", killed: most likely it used more memory than the sandbox has"
            } else {
                ""
            };
            let code = done.exit_code;
            return Err(Halt::Failed(format!("{what} failed with exit code {code}{killed}")));
        }
        Ok(())
    }
}
