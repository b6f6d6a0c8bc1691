//! The one task that acts for a sandbox: whatever happens to it happens here, one
//! thing after the other.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pando_guest_protocol::control::{Identity, ToGuest, ToHost, Who};
use pando_types::{SandboxId, Timestamp};
use pando_vm::driver::{
    Disks, Home, Machine as RunningMachine, MachineName, RestoreSpec, SPARE_DISKS, Started, VmError,
};
use pando_vm::network::Slot;
use pando_vm::sys::fault::{self, Fault};
use pando_vm::sys::{durable, reflink};
use tokio::sync::{mpsc, watch};

use super::control_line::ControlLine;
use super::handle::{ActorError, Answered, Command, Handle, LastUsed, Observed};
use super::manifest::{Lasting, Manifest};
use super::policy::{Decision, Denial, Event, State};
use crate::bake::Machine;
use crate::random;
use crate::shared::{Report, Shared};

/// How long a restored guest may take to say that it is ready: 0.1 s alone on a
/// quiet host, seconds among many on a busy one.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a running guest may take to take a new token after a restart of the server.
const ATTACH_LIMIT: Duration = Duration::from_secs(30);
/// How long a guest may leave what it is told unread.
const CLOCK_LIMIT: Duration = Duration::from_secs(1);
/// The wall clock may be set: a deadline is looked at again at least this often.
const CLOCK_CHECK: Duration = Duration::from_secs(20);
/// How long until a failed removal is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Wishes that wait while one is carried out.
const QUEUE_COMMANDS: usize = 32;

/// What an actor starts from.
pub(crate) enum Origin {
    /// Make it from this machine.
    Restore { machine: Machine },
    /// It runs already.
    Adopt { started: Started },
    /// It has no machine: it failed, or is to be removed.
    Lost,
}

struct Actor {
    shared: Arc<Shared>,
    manifest: Manifest,
    slot: Arc<Slot>,
    token: Arc<str>,
    machine: Option<Arc<dyn RunningMachine>>,
    control: Option<ControlLine>,
    /// Whether the guest knows our token. Not yet, after a restart, when it is paused.
    attached: bool,
    observed: watch::Sender<Observed>,
    commands: mpsc::Receiver<Command>,
}

/// Starts the actor of a sandbox.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    manifest: Manifest,
    slot: Arc<Slot>,
    origin: Origin,
) -> Arc<Handle> {
    let (commands, receiver) = mpsc::channel(QUEUE_COMMANDS);
    let (observed, watched) = watch::channel(Observed {
        state: manifest.state.clone(),
        generation: manifest.generation,
        deadline: manifest.deadline,
        persistent: manifest.persistent,
        boot: Duration::ZERO,
    });
    let token: Arc<str> = random::hex::<32>().into();
    let handle = Arc::new(Handle {
        epoch: manifest.epoch,
        slot: Arc::clone(&slot),
        token: Arc::clone(&token),
        commands,
        observed: watched,
        last_used: LastUsed::at(shared.clock.now()),
        answered: Answered::default(),
    });
    let actor = Actor {
        shared: Arc::clone(shared),
        manifest,
        slot,
        token,
        machine: None,
        control: None,
        attached: false,
        observed,
        commands: receiver,
    };
    shared.tasks.spawn(actor.run(origin));
    handle
}

impl Actor {
    fn id(&self) -> SandboxId {
        self.manifest.id
    }

    async fn run(mut self, origin: Origin) {
        match origin {
            Origin::Restore { machine } => {
                let begun = Instant::now();
                let event = match self.make(&machine).await {
                    Ok(()) => Event::Ready,
                    Err(error) => {
                        let reason = crate::chain(&error);
                        tracing::warn!(sandbox = self.id().short(), reason, "sandbox not made");
                        Event::NotMade { reason }
                    }
                };
                self.observed.send_modify(|observed| observed.boot = begun.elapsed());
                self.act(event).await;
            }
            Origin::Adopt { started } => {
                self.adopt(started).await;
                self.publish().await;
            }
            Origin::Lost => self.publish().await,
        }
        if self.manifest.state == State::Deleting {
            self.take_apart().await;
        }
        while self.manifest.state != State::Deleted {
            let event = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => {
                        self.obey(command).await;
                        continue;
                    }
                    // Nobody can wish any more: the server stops. The machine runs on.
                    None => return,
                },
                () = self.shared.stopping.cancelled() => return,
                reason = ended(self.machine.clone()) => Event::MachineEnded { reason },
                () = until(&self.shared, self.manifest.deadline) => Event::Deadline,
            };
            self.act(event).await;
        }
    }

    /// [`Actor::handle`] for what nobody waits for.
    async fn act(&mut self, event: Event) {
        if let Err(error) = self.handle(event).await {
            tracing::error!(
                sandbox = self.id().short(),
                error = crate::chain(&error),
                "not carried out"
            );
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Pause(reply) => {
                let outcome = self.handle(Event::Pause).await;
                let _ = reply.send(outcome);
            }
            Command::Resume(reply) => {
                let outcome = self.handle(Event::Resume).await;
                let _ = reply.send(outcome);
            }
            Command::Delete => self.act(Event::Delete).await,
            Command::SetLifecycle { deadline, persistent, reply } => {
                self.manifest.deadline = deadline;
                self.manifest.persistent = persistent;
                let outcome = self.record().await;
                self.publish().await;
                let _ = reply.send(outcome);
            }
        }
    }

    /// Decides, acts, records.
    async fn handle(&mut self, event: Event) -> Result<(), ActorError> {
        match self.manifest.state.on(event) {
            Decision::Ignore => Ok(()),
            Decision::Deny(denial) => Err(denial.into()),
            Decision::Enter(state) => {
                if let State::Failed { reason } = &state {
                    tracing::warn!(sandbox = self.id().short(), reason, "sandbox failed");
                    self.drop_machine().await;
                }
                self.enter(state).await
            }
            Decision::PauseMachine => {
                self.running()?.pause().await?;
                fault::point(Fault::PauseStopped);
                self.enter(State::Paused).await
            }
            Decision::ResumeMachine => {
                self.running()?.resume().await?;
                if !self.attached {
                    self.attach().await?;
                }
                self.set_clock().await;
                fault::point(Fault::ResumeStarted);
                self.enter(State::Running).await
            }
            Decision::TakeApart => {
                // Without a record of the intent it is taken apart all the same: a
                // full disk must not keep what would free it.
                let recorded = self.enter(State::Deleting).await;
                fault::point(Fault::DeleteRecorded);
                self.take_apart().await;
                recorded
            }
        }
    }

    fn running(&self) -> Result<Arc<dyn RunningMachine>, Denial> {
        self.machine.clone().ok_or(Denial::HasFailed)
    }

    async fn enter(&mut self, state: State) -> Result<(), ActorError> {
        self.manifest.state = state;
        let recorded = self.record().await;
        self.publish().await;
        recorded
    }

    async fn record(&mut self) -> Result<(), ActorError> {
        self.manifest.generation = self.manifest.generation.next();
        let (manifest, dir) = (self.manifest.clone(), self.shared.data.sandbox(self.id()));
        Ok(blocking(move || manifest.write(&dir, Lasting::PowerCut)).await?)
    }

    async fn publish(&self) {
        self.observed.send_modify(|observed| {
            observed.state = self.manifest.state.clone();
            observed.generation = self.manifest.generation;
            observed.deadline = self.manifest.deadline;
            observed.persistent = self.manifest.persistent;
        });
        let observed = self.observed.borrow().clone();
        let report = Report {
            id: self.id(),
            epoch: self.manifest.epoch,
            state: observed.state,
            generation: observed.generation,
            boot: observed.boot,
        };
        // The receiver goes only when the server stops; the next start tells anew.
        let _ = self.shared.reports.send(report).await;
    }

    /// Restores the machine. Its intent is on disk before it answers to anyone.
    async fn make(&mut self, machine: &Machine) -> Result<(), ActorError> {
        let id = self.id();
        let begun = Instant::now();
        let dir = self.shared.data.sandbox(id);
        let root = dir.join("root.raw");
        let (source, target, home) = (machine.root_disk(), root.clone(), dir.clone());
        blocking(move || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&home)?;
            reflink::clone_file(&source, &target)
        })
        .await?;
        fault::point(Fault::CreateDiskCloned);
        if !self.manifest.egress_deny.is_empty() {
            self.shared.slots.deny(&self.slot, &self.manifest.egress_deny).await?;
        }
        let files = begun.elapsed();
        self.manifest.slot = Some(self.slot.number());
        let (manifest, home) = (self.manifest.clone(), dir.clone());
        let recorded = blocking(move || manifest.write(&home, Lasting::Crash));

        let identity = Identity {
            seed: random::hex::<32>(),
            wall_clock_ns: random::wall_clock_ns(),
            token: self.token.to_string(),
            who: Who::Copy {
                hostname: format!("pando-{}", id.short()),
                machine_id: random::hex::<16>(),
            },
        };
        let restored = self.shared.hypervisor.restore(RestoreSpec {
            home: self.home(),
            shape: machine.shape,
            memory: machine.memory(),
            device_state: machine.device_state(),
            disks: Disks { root, spares: [const { None }; SPARE_DISKS] },
            slot: Arc::clone(&self.slot),
            first_words: ControlLine::encode(&ToGuest::Restored(identity)),
        });
        let (recorded, restored) = tokio::join!(recorded, restored);
        let started = begun.elapsed();
        let Started { machine, control } = restored?;
        self.machine = Some(Arc::clone(&machine));
        fault::point(Fault::CreateStarted);
        recorded?;
        let mut control = ControlLine::new(control);
        tokio::select! {
            ready = control.wait(READY_LIMIT, |said| *said == ToHost::Ready) => ready?,
            said = machine.exited() => return Err(VmError::Exited { said }.into()),
        }
        fault::point(Fault::CreateReady);
        self.control = Some(control);
        self.attached = true;
        self.set_clock().await;
        // Where the time of a create goes; the benchmark reads it from here.
        tracing::info!(
            sandbox = id.short(),
            files_us = micros(files),
            spawn_us = micros(started - files),
            ready_us = micros(begun.elapsed() - started),
            "restored"
        );
        Ok(())
    }

    fn home(&self) -> Home {
        Home {
            dir: self.shared.data.sandbox(self.id()),
            name: MachineName { owner: self.shared.owner.clone(), machine: self.id().to_string() },
        }
    }

    /// Takes over a machine that an earlier server started.
    async fn adopt(&mut self, started: Started) {
        let machine = Arc::clone(&started.machine);
        self.machine = Some(started.machine);
        self.control = Some(ControlLine::new(started.control));
        // The server may have ended between an act and its record: the record holds.
        let settled = async {
            if self.manifest.state == State::Running {
                machine.resume().await?;
                self.attach().await
            } else {
                // A paused guest cannot answer: it is told when it runs again.
                Ok(machine.pause().await?)
            }
        };
        if let Err(error) = settled.await {
            let reason = format!("after a restart of the server: {}", crate::chain(&error));
            self.act(Event::MachineEnded { reason }).await;
        }
    }

    /// Tells the guest what time it is. It lost what its restore or its pause took.
    async fn set_clock(&mut self) {
        let Some(control) = &mut self.control else { return };
        let clock = ToGuest::Clock { wall_clock_ns: random::wall_clock_ns() };
        let sent = tokio::time::timeout(CLOCK_LIMIT, control.send(&clock)).await;
        if !matches!(sent, Ok(Ok(()))) {
            // Its clock is behind, and everything else is well.
            tracing::warn!(sandbox = self.id().short(), "the guest's clock could not be set");
        }
    }

    async fn attach(&mut self) -> Result<(), ActorError> {
        let Some(control) = &mut self.control else { return Err(Denial::HasFailed.into()) };
        control.send(&ToGuest::Attached { token: self.token.to_string() }).await?;
        control.wait(ATTACH_LIMIT, |said| *said == ToHost::Attached).await?;
        self.attached = true;
        Ok(())
    }

    async fn drop_machine(&mut self) {
        self.control = None;
        if let Some(machine) = self.machine.take()
            && let Err(error) = machine.kill().await
        {
            tracing::error!(
                sandbox = self.id().short(),
                error = crate::chain(&error),
                "VMM not killed"
            );
        }
    }

    /// Takes everything apart in the reverse order of its making, until it is done.
    async fn take_apart(&mut self) {
        while let Err(error) = self.try_take_apart().await {
            tracing::error!(
                sandbox = self.id().short(),
                error = crate::chain(&error),
                "not removed yet"
            );
            tokio::time::sleep(RETRY).await;
        }
        if let Decision::Enter(state) = self.manifest.state.on(Event::Cleaned) {
            self.manifest.state = state;
            self.manifest.generation = self.manifest.generation.next();
            self.shared.forget(self.id());
            fault::point(Fault::DeleteReleased);
            self.publish().await;
        }
    }

    async fn try_take_apart(&mut self) -> Result<(), ActorError> {
        self.control = None;
        if let Some(machine) = &self.machine {
            machine.kill().await?;
            self.machine = None;
        }
        fault::point(Fault::DeleteKilled);
        let dir = self.shared.data.sandbox(self.id());
        let grave = self.shared.data.staging().join(self.id().to_string());
        blocking(move || {
            // The folder goes with its manifest at one instant; what follows may be cut off.
            match fs::rename(&dir, &grave) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
            fault::point(Fault::DeleteMoved);
            durable::remove_dir(&grave)
        })
        .await?;
        fault::point(Fault::DeleteUnfiled);
        self.shared.slots.release(&self.slot).await?;
        Ok(())
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

async fn ended(machine: Option<Arc<dyn RunningMachine>>) -> String {
    match machine {
        Some(machine) => machine.exited().await,
        None => std::future::pending().await,
    }
}

async fn until(shared: &Shared, deadline: Option<Timestamp>) {
    let Some(deadline) = deadline else { return std::future::pending().await };
    loop {
        let left = deadline.since(shared.clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(CLOCK_CHECK)).await;
    }
}
