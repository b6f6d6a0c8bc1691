//! The machines of a deployment: one that installs and builds, and one that runs what came of
//! it. Only the app's disk goes from the first to the second, so what the one that runs has in
//! its memory never was in a build.

use std::sync::Arc;
use std::time::Duration;

use pando_node::control::AppMachine;
use pando_node::fault::{self, Fault};
use pando_types::{Code, PublicError, SandboxId};
use tokio::time::Instant;

use super::run::{Halt, Run};
use super::shape::Shape;
use crate::detect::Plan;
use crate::layer;
use crate::machine::{Machine, MachineSpec, Machines, Size};

/// How long a host without room is asked again.
const ROOM_LIMIT: Duration = Duration::from_secs(120);
/// The pause between, where the host names none.
const ROOM_PAUSE: Duration = Duration::from_secs(5);

impl Run {
    /// Creates the sandbox of what comes next; `None` when what it was to begin as is there no
    /// more.
    pub(super) async fn create(
        &mut self,
        begins: AppMachine,
        plan: &Plan,
    ) -> Result<Option<Box<dyn Machine>>, Halt> {
        let Shape { cpu, memory_mib, idle_timeout, .. } = Shape::of(&self.app, plan);
        let Size { cpu, memory_mib } = self.template.size.unwrap_or(Size { cpu, memory_mib });
        let spec = MachineSpec {
            org: self.row.org,
            app: self.row.app,
            deployment: self.row.id,
            template: self.template.name.clone(),
            cpu,
            memory_mib,
            idle_timeout,
            begins,
        };
        let machines = Arc::clone(&self.context.machines);
        let shutdown = self.context.shutdown.clone();
        let creating = self.creating.insert(tokio::spawn(async move {
            tokio::select! {
                made = create(&*machines, spec) => made,
                // Rows and node settle at the next start.
                () = shutdown.cancelled() => Err(PublicError::new(Code::Unavailable, "the server stops")),
            }
        }));
        let made = creating.await.unwrap_or_else(|_| Err(PublicError::internal()));
        self.creating = None;
        let made =
            made.map_err(|error| Halt::Failed(format!("no sandbox could be made: {error}")))?;
        let Some(sandbox) = made else { return Ok(None) };
        let mut next = self.row.clone();
        next.sandbox = Some(sandbox);
        self.save(next).await?;
        self.say(format!("Sandbox {} answers.", sandbox.short())).await;
        self.open(sandbox).await.map(Some)
    }

    async fn open(&self, sandbox: SandboxId) -> Result<Box<dyn Machine>, Halt> {
        let opened = self.context.machines.open(self.row.org, sandbox).await;
        opened.map_err(|error| Halt::Failed(format!("the sandbox is gone: {error}")))
    }

    /// The machine that runs what was built in `machine`, which is gone then; the same where
    /// nothing of the repository's ran in it.
    pub(super) async fn run_machine(
        &mut self,
        machine: Box<dyn Machine>,
        plan: &Plan,
    ) -> Result<Box<dyn Machine>, Halt> {
        let builder = self.row.sandbox.ok_or(Halt::Ended)?;
        let name = layer::built(self.row.app, self.row.id).map_err(|_| Halt::Ended)?;
        settle_disk(&*machine).await?;
        let machines = Arc::clone(&self.context.machines);
        let kept = machines.keep_disk(self.row.org, builder, &name).await;
        kept.map_err(|error| Halt::Failed(format!("what was built could not be kept: {error}")))?;
        fault::point(Fault::DeployBuiltKept);
        let is_untouched = plan.install.is_none() && plan.build.is_none() && plan.tools.is_empty();
        if is_untouched && plan.container().is_none() {
            return Ok(machine);
        }
        drop(machine);
        machines
            .remove(self.row.org, builder)
            .await
            .map_err(|error| Halt::Failed(format!("the sandbox that built stays: {error}")))?;
        let made = self.create(AppMachine::Disk(name), plan).await?;
        let gone = || Halt::Failed("what was built is there no more: deploy again".into());
        let machine = made.ok_or_else(gone)?;
        enter_image(&*machine, plan).await?;
        Ok(machine)
    }
}

/// Makes an image a root to run in, where the plan has one.
pub(super) async fn enter_image(machine: &dyn Machine, plan: &Plan) -> Result<(), Halt> {
    if plan.container().is_none() {
        return Ok(());
    }
    let entered = machine.enter_image().await;
    entered.map_err(|error| Halt::Failed(format!("the image cannot be run in: {error}")))
}

/// Makes the app's disk fit to be kept.
pub(super) async fn settle_disk(machine: &dyn Machine) -> Result<(), Halt> {
    let settled = machine.settle_disk().await;
    settled.map_err(|error| Halt::Failed(format!("the app's disk cannot be kept: {error}")))
}

/// Asks again while the host has no room: others may end.
async fn create(
    machines: &dyn Machines,
    spec: MachineSpec,
) -> Result<Option<SandboxId>, PublicError> {
    let begun = Instant::now();
    loop {
        match machines.create(spec.clone()).await {
            Err(error) if error.code == Code::Unavailable && begun.elapsed() < ROOM_LIMIT => {
                let named = error.retry_after_secs.map(|secs| Duration::from_secs(secs.into()));
                tokio::time::sleep(named.unwrap_or(ROOM_PAUSE).min(ROOM_LIMIT / 4)).await;
            }
            other => return other,
        }
    }
}
