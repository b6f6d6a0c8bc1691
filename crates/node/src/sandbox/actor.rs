//! The one task that acts for a sandbox: whatever happens to it happens here, one
//! thing after the other.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pando_types::{SandboxId, Timestamp};
use pando_vm::driver::{Home, Machine as RunningMachine, MachineName, Started};
use pando_vm::network::Slot;
use pando_vm::sys::fault::{self, Fault};
use tokio::sync::{mpsc, watch};

use super::clock::ClockWatch;
use super::control_line::ControlLine;
use super::doze::{self, Watch};
use super::files::Files;
use super::handle::{ActorError, Answered, Command, Handle, Observed, Seat, Taken};
use super::manifest::{Lasting, Manifest};
use super::policy::{Decision, Denial, Event, State};
use super::restore::Model;
use super::usage::Usage;
use crate::capacity::promised::Promise;
use crate::shared::{Report, Shared};

/// The wall clock may be set: a deadline is looked at again at least this often.
const CLOCK_CHECK: Duration = Duration::from_secs(20);
/// How long it is waited for the end of a machine that did not obey: some of those end
/// in that moment.
const ENDED_LIMIT: Duration = Duration::from_millis(200);
/// Wishes that wait while one is carried out.
const QUEUE_COMMANDS: usize = 32;

/// What an actor starts from.
pub(crate) enum Origin {
    /// Make it of this, in this slot.
    Restore { model: Model, slot: Arc<Slot>, promise: Promise },
    /// It runs already, in this slot.
    Adopt { started: Started, slot: Arc<Slot>, promise: Promise },
    /// It has no machine: it failed, is asleep, or is to be removed.
    Still,
}

pub(super) struct Actor {
    pub(super) shared: Arc<Shared>,
    pub(super) manifest: Manifest,
    pub(super) files: Files,
    pub(super) seat: Option<Seat>,
    pub(super) machine: Option<Arc<dyn RunningMachine>>,
    /// The memory that it may take; none when it has no machine.
    pub(super) promise: Option<Promise>,
    pub(super) control: Option<ControlLine>,
    /// Whether the guest knows our token. Not yet, after a restart, when it is paused.
    pub(super) attached: bool,
    pub(super) usage: Arc<Usage>,
    /// Whether it is idle; none while it does not matter.
    pub(super) watch: Option<Watch>,
    pub(super) clock: ClockWatch,
    observed: watch::Sender<Observed>,
    commands: mpsc::Receiver<Command>,
}

/// Starts the actor of a sandbox.
pub(crate) fn spawn(shared: &Arc<Shared>, manifest: Manifest, origin: Origin) -> Arc<Handle> {
    let (commands, receiver) = mpsc::channel(QUEUE_COMMANDS);
    let seat = match &origin {
        Origin::Restore { slot, .. } | Origin::Adopt { slot, .. } => {
            Some(Seat::new(Arc::clone(slot)))
        }
        Origin::Still => None,
    };
    let (observed, watched) = watch::channel(Observed {
        state: manifest.state.clone(),
        generation: manifest.generation,
        deadline: manifest.deadline,
        persistent: manifest.persistent,
        leased_until: manifest.leased_until,
        boot: Duration::ZERO,
        seat: seat.clone(),
        falls_asleep: false,
    });
    let usage = Usage::since(shared.clock.now());
    let handle = Arc::new(Handle {
        epoch: manifest.epoch,
        org: manifest.org,
        machine: manifest.machine.clone(),
        commands,
        observed: watched,
        usage: Arc::clone(&usage),
        answered: Answered::default(),
        waking: Mutex::default(),
    });
    let actor = Actor {
        shared: Arc::clone(shared),
        files: Files::new(shared.data.sandbox(manifest.id)),
        manifest,
        seat,
        machine: None,
        promise: None,
        control: None,
        attached: false,
        usage,
        watch: None,
        clock: ClockWatch::new(),
        observed,
        commands: receiver,
    };
    shared.tasks.spawn(actor.run(origin));
    handle
}

impl Actor {
    pub(super) fn id(&self) -> SandboxId {
        self.manifest.id
    }

    async fn run(mut self, origin: Origin) {
        match origin {
            Origin::Restore { model, promise, .. } => {
                self.promise = Some(promise);
                let begun = Instant::now();
                let event = match self.make(&model).await {
                    Ok(()) => Event::Ready,
                    Err(error) => {
                        let reason = crate::chain(&error);
                        tracing::warn!(sandbox = self.id().short(), reason, "sandbox not made");
                        Event::NotMade { reason }
                    }
                };
                drop(model);
                self.observed.send_modify(|observed| observed.boot = begun.elapsed());
                self.act(event).await;
            }
            Origin::Adopt { started, promise, .. } => {
                self.promise = Some(promise);
                self.adopt(started).await;
                self.publish().await;
            }
            Origin::Still => self.publish().await,
        }
        if self.manifest.state == State::Deleting {
            self.take_apart().await;
        }
        while self.manifest.state != State::Deleted {
            let (look_at, clock_due) = (self.look_at(), self.clock_due());
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
                () = doze::due(look_at) => {
                    self.look().await;
                    continue;
                }
                () = doze::due(clock_due) => {
                    self.look_at_clock().await;
                    continue;
                }
            };
            self.act(event).await;
        }
    }

    /// [`Actor::handle`] for what nobody waits for.
    pub(super) async fn act(&mut self, event: Event) {
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
                let _ = reply.send(outcome.map(drop));
            }
            Command::Resume(reply) => {
                let outcome = self.handle(Event::Resume).await;
                let _ = reply.send(outcome.map(drop));
            }
            Command::Save(reply) => {
                let outcome = self.handle(Event::Save).await;
                // Only a state that is no more than passed through saves nothing.
                let taken = outcome.and_then(|taken| Ok(taken.ok_or(Denial::StillCreating)?));
                let _ = reply.send(taken);
            }
            Command::Hibernate(reply) => {
                let outcome = self.handle(Event::Hibernate).await;
                let _ = reply.send(outcome.map(drop));
            }
            Command::Wake(reply) => {
                let outcome = self.handle(Event::Wake).await;
                let _ = reply.send(outcome.map(drop));
            }
            Command::Delete => self.act(Event::Delete).await,
            Command::GoOn => self.go_on_after_a_full_disk().await,
            Command::SetLife { life, reply } => {
                self.manifest.deadline = life.deadline;
                self.manifest.persistent = life.persistent;
                self.manifest.idle_timeout = life.idle_timeout;
                self.watch = None;
                let outcome = self.record().await;
                self.publish().await;
                let _ = reply.send(outcome);
            }
            Command::Lease { until, reply } => {
                self.manifest.leased_until = until;
                let outcome = self.record().await;
                self.publish().await;
                let _ = reply.send(outcome);
            }
        }
    }

    /// Carries out what follows an event. What failed because the machine ended meanwhile
    /// is told as that, and not as whatever was noticed of it first.
    async fn handle(&mut self, event: Event) -> Result<Option<Taken>, ActorError> {
        let outcome = self.carry_out(event).await;
        let Err(error) = outcome else { return outcome };
        let ended = tokio::time::timeout(ENDED_LIMIT, ended(self.machine.clone())).await;
        if let Ok(reason) = ended {
            self.carry_out(Event::MachineEnded { reason }).await?;
        }
        let has_failed = matches!(self.manifest.state, State::Failed { .. });
        // Whoever wanted it booted is told why it was not.
        let is_told = matches!(error, ActorError::Denied(_) | ActorError::NotBooted(_));
        if has_failed && !is_told {
            tracing::warn!(sandbox = self.id().short(), error = crate::chain(&error), "too late");
            return Err(Denial::HasFailed.into());
        }
        Err(error)
    }

    /// Decides, acts, records. Returns the image, where the event asked for one.
    async fn carry_out(&mut self, event: Event) -> Result<Option<Taken>, ActorError> {
        match self.manifest.state.on(event) {
            Decision::Ignore => {}
            Decision::Deny(denial) => return Err(denial.into()),
            Decision::Enter(state) => {
                if let State::Failed { reason } = &state {
                    tracing::warn!(sandbox = self.id().short(), reason, "sandbox failed");
                    self.drop_machine().await;
                }
                self.enter(state).await?;
            }
            Decision::PauseMachine => {
                self.running()?.pause().await?;
                fault::point(Fault::PauseStopped);
                self.enter(State::Paused).await?;
            }
            Decision::ResumeMachine => {
                self.running()?.resume().await?;
                if !self.attached {
                    self.attach().await?;
                }
                self.set_clock().await;
                fault::point(Fault::ResumeStarted);
                self.enter(State::Running).await?;
            }
            Decision::SaveMachine => return self.save().await.map(Some),
            Decision::CopyImage => return self.copy_image().await.map(Some),
            Decision::Hibernate => self.hibernate().await?,
            Decision::Wake => self.wake().await?,
            Decision::Boot => {
                self.boot().await?;
                self.wake().await?;
            }
            Decision::TakeApart => {
                // Without a record of the intent it is taken apart all the same: a
                // full disk must not keep what would free it.
                let recorded = self.enter(State::Deleting).await;
                fault::point(Fault::DeleteRecorded);
                self.take_apart().await;
                recorded?;
            }
        }
        Ok(None)
    }

    pub(super) fn running(&self) -> Result<Arc<dyn RunningMachine>, Denial> {
        self.machine.clone().ok_or(Denial::HasFailed)
    }

    pub(super) async fn enter(&mut self, state: State) -> Result<(), ActorError> {
        self.manifest.state = state;
        let recorded = self.record().await;
        self.publish().await;
        recorded
    }

    pub(super) async fn record(&mut self) -> Result<(), ActorError> {
        self.manifest.generation = self.manifest.generation.next();
        let (manifest, dir) = (self.manifest.clone(), self.files.dir.clone());
        Ok(blocking(move || manifest.write(&dir, Lasting::PowerCut)).await?)
    }

    pub(super) async fn publish(&self) {
        self.observed.send_modify(|observed| {
            observed.state = self.manifest.state.clone();
            observed.generation = self.manifest.generation;
            observed.deadline = self.manifest.deadline;
            observed.persistent = self.manifest.persistent;
            observed.leased_until = self.manifest.leased_until;
            observed.seat = self.seat.clone();
            observed.falls_asleep = false;
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

    /// Lets whoever comes now wait until it sleeps, or does not.
    pub(super) fn close_for_sleep(&self, closed: bool) {
        self.observed.send_modify(|observed| observed.falls_asleep = closed);
    }

    pub(super) fn home(&self) -> Home {
        Home {
            dir: self.files.dir.clone(),
            name: MachineName { owner: self.shared.owner.clone(), machine: self.id().to_string() },
        }
    }

    pub(super) async fn drop_machine(&mut self) {
        self.control = None;
        self.attached = false;
        if let Some(machine) = self.machine.take()
            && let Err(error) = machine.kill().await
        {
            tracing::error!(
                sandbox = self.id().short(),
                error = crate::chain(&error),
                "VMM not killed"
            );
        }
        self.promise = None;
    }

    /// Gives its slot back, while it goes on: a tenth of a second that nobody waits
    /// for. A server that ends meanwhile finds it unused at its next start.
    pub(super) fn leave_seat(&mut self) {
        self.manifest.slot = None;
        let Some(seat) = self.seat.take() else { return };
        let slots = Arc::clone(&self.shared.slots);
        self.shared.tasks.spawn(async move {
            if let Err(error) = slots.release(&seat.slot).await {
                tracing::warn!(error = crate::chain(&error), "a network slot stays");
            }
        });
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// For a log.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
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
