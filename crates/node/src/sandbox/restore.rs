//! Making a machine of saved files: of a template or an image when it is created, of
//! its own image when it is woken. And taking over one that runs.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pando_guest_protocol::control::{Identity, Mount, ToGuest, ToHost, Who};
use pando_vm::driver::{Disks, RestoreSpec, Shape, Started, VmError};
use pando_vm::memory;
use pando_vm::network::Cidr;
use pando_vm::sys::fault::{self, Fault};
use pando_vm::sys::{durable, reflink};

use super::actor::{Actor, blocking, micros};
use super::control_line::ControlLine;
use super::handle::{ActorError, Seat};
use super::manifest::{Lasting, Manifest};
use super::policy::{Decision, Denial, Event, State};
use super::spare::{self, Spare};
use crate::bake::{Machine, MachineKey};
use crate::image::{Image, ImageError, Parts, Passing};
use crate::random;

/// How long a restored guest may take to say that it is ready: 0.1 s alone on a
/// quiet host, seconds among many on a busy one.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a running guest may take to take a new token after a restart of the server.
const ATTACH_LIMIT: Duration = Duration::from_secs(30);

/// What a new sandbox's machine is made of.
#[derive(Debug, Clone)]
pub(crate) enum Model {
    /// A baked machine.
    Baked(Arc<Machine>),
    /// An image of another sandbox, which stays as long as it is used.
    Image(Arc<Passing>),
}

impl Model {
    fn parts(&self) -> Parts {
        match self {
            Self::Baked(machine) => machine.parts(),
            Self::Image(passing) => passing.0.parts(),
        }
    }

    /// What stands in the spare disks of a sandbox that is made of it, before it gets any
    /// of its own.
    pub(crate) fn spares(&self) -> Vec<Spare> {
        match self {
            Self::Baked(_) => Vec::new(),
            Self::Image(passing) => passing.0.about.spares.iter().map(Spare::copied).collect(),
        }
    }

    /// How many of those its memory has mounted.
    fn mounted(&self) -> usize {
        match self {
            Self::Baked(_) => 0,
            Self::Image(passing) => passing.0.about.mounted(),
        }
    }

    /// The baked machine that it began as, and its size.
    pub(crate) fn made_from(&self) -> (MachineKey, Shape) {
        match self {
            Self::Baked(machine) => (machine.key.clone(), machine.shape),
            Self::Image(passing) => (passing.0.about.machine.clone(), passing.0.about.shape),
        }
    }

    /// What a sandbox may not reach that is made of it: what is asked for, and what the
    /// one that it is of could not.
    pub(crate) fn egress_deny(&self, asked: Vec<Cidr>) -> Vec<Cidr> {
        let mut denied = match self {
            Self::Baked(_) => Vec::new(),
            Self::Image(passing) => passing.0.about.egress_deny.clone(),
        };
        let more: Vec<_> = asked.into_iter().filter(|cidr| !denied.contains(cidr)).collect();
        denied.extend(more);
        denied
    }
}

/// Of a sandbox's spare disks, the first so many.
#[derive(Debug, Clone, Copy)]
struct Inherited {
    /// Whose files are among the parts.
    placed: usize,
    /// Which memory has mounted already.
    mounted: usize,
}

/// The moments of a restore, where a test may end the server.
struct Moments {
    disk_cloned: Fault,
    started: Fault,
    ready: Fault,
}

const CREATE: Moments = Moments {
    disk_cloned: Fault::CreateDiskCloned,
    started: Fault::CreateStarted,
    ready: Fault::CreateReady,
};

const WAKE: Moments = Moments {
    disk_cloned: Fault::WakeDiskCloned,
    started: Fault::WakeStarted,
    ready: Fault::WakeReady,
};

impl Actor {
    /// Makes the machine of a new sandbox.
    pub(super) async fn make(&mut self, model: &Model) -> Result<(), ActorError> {
        let who = Who::Copy {
            hostname: format!("pando-{}", self.id().short()),
            machine_id: random::hex::<16>(),
        };
        let inherited = Inherited { placed: model.spares().len(), mounted: model.mounted() };
        self.restore(model.parts(), inherited, who, &CREATE).await
    }

    /// Makes the machine of a sandbox that slept, of its image. When that fails it
    /// sleeps on, in the same image.
    pub(super) async fn wake(&mut self) -> Result<(), ActorError> {
        let (org, shape) = (self.manifest.org, self.manifest.shape);
        let promise = self.shared.promise_again(org, shape).await?;
        let slot = self.shared.slots.take().await?;
        self.promise = Some(promise);
        self.seat = Some(Seat::new(slot));
        let woken = self.try_wake().await;
        if let Err(error) = &woken {
            tracing::warn!(sandbox = self.id().short(), error = crate::chain(error), "not woken");
            self.drop_machine().await;
            self.leave_seat();
            self.sleep_on().await;
        }
        self.publish().await;
        woken
    }

    async fn try_wake(&mut self) -> Result<(), ActorError> {
        let begun = Instant::now();
        let (files, here) = (self.files.clone(), self.shared.hypervisor.identity());
        let (spares, data) = (self.manifest.spares.clone(), self.shared.data.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let found = files.image()?.ok_or(ImageError::Broken)?;
            found.check_fits(&here)?;
            // What is under this name was begun with: its volumes may be ahead of it.
            if found.dir() == files.consumed() {
                spare::revert(&spares, &found, &data)?;
            } else {
                // Before its machine runs.
                durable::remove_dir(&files.consumed())?;
                fs::rename(found.dir(), files.consumed())?;
            }
            files.remove_machine()?;
            Ok((found.about.parts_in(&files.consumed()), found.about.mounted()))
        });
        let parts: Result<(Parts, usize), ImageError> =
            opened.await.unwrap_or_else(|error| Err(std::io::Error::other(error).into()));
        let (parts, mounted) = parts?;
        fault::point(Fault::WakeConsumed);
        let opened = begun.elapsed();
        let mut next = self.manifest.clone();
        next.generation = next.generation.next();
        next.slot = self.seat.as_ref().map(|seat| seat.slot.number());
        if let Decision::Enter(state) = next.state.on(Event::Awake) {
            next.state = state;
        }
        // Written while the guest comes up, so that one wait for the disk is left.
        let (prepared, dir) = (next.clone(), self.files.dir.clone());
        let prepared = tokio::task::spawn_blocking(move || prepared.prepare(&dir));
        let inherited = Inherited { placed: self.manifest.spares.len(), mounted };
        let restored = self.restore(parts, inherited, Who::Woken, &WAKE).await;
        // Awaited in any case: it writes into the folder until then.
        prepared.await.map_err(std::io::Error::other)??;
        restored?;
        let restored = begun.elapsed();
        let (files, grave) = (self.files.clone(), self.shared.data.grave());
        let buried = grave.clone();
        let dir = files.dir.clone();
        let recorded = blocking(move || {
            Manifest::replace(&dir)?;
            fault::point(Fault::WakeRecorded);
            Ok(())
        });
        // Its clock is right before anything reaches it that was held for it.
        let (recorded, ()) = tokio::join!(recorded, self.look_at_clock());
        recorded?;
        // As long as the image is there, the sandbox can go back to it, for nobody was told
        // that it is awake. Once it is gone nobody will: what the guest does now is kept.
        if let Some(said) = self.running()?.exited().now_or_never() {
            return Err(VmError::Exited { said }.into());
        }
        blocking(move || files.bury_consumed(&buried)).await?;
        self.manifest = next;
        fault::point(Fault::WakeBuried);
        self.shared.sweep(grave);
        tracing::info!(
            sandbox = self.id().short(),
            open_us = micros(opened),
            record_us = micros(begun.elapsed() - restored),
            "woken"
        );
        Ok(())
    }

    /// Puts everything back to where it was before a wake that failed.
    async fn sleep_on(&mut self) {
        let (files, data) = (self.files.clone(), self.shared.data.clone());
        let spares = self.manifest.spares.clone();
        let put_back = blocking(move || {
            if let Some(begun) = Image::find(&files.consumed())? {
                spare::revert(&spares, &begun, &data)?;
            }
            files.put_back()?;
            Manifest::forget_prepared(&files.dir)?;
            files.remove_machine()
        });
        // Its record may say that it woke.
        let put_back = put_back.await.map_err(ActorError::from).and(self.record().await);
        if let Err(error) = put_back {
            // Its image is whole under either name, and found under both.
            tracing::error!(
                sandbox = self.id().short(),
                error = crate::chain(&error),
                "not put back to sleep in full"
            );
        }
    }

    /// Restores the machine, of parts that have what is `inherited` of its spare disks.
    /// Its intent is on disk before it answers to anyone.
    async fn restore(
        &mut self,
        parts: Parts,
        inherited: Inherited,
        who: Who,
        moments: &Moments,
    ) -> Result<(), ActorError> {
        let id = self.id();
        let begun = Instant::now();
        let seat = self.seat.clone().ok_or(Denial::HasFailed)?;
        let (files, source) = (self.files.clone(), parts.clone());
        let (spares, data) = (self.manifest.spares.clone(), self.shared.data.clone());
        let memory = blocking(move || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&files.dir)?;
            reflink::clone_file(&source.root, &files.root())?;
            spare::place(&spares, inherited.placed, &source, &files, &data)?;
            // The same files under names of its own: whatever it came from may go.
            source.memory.link_to(&files.dir)
        })
        .await?;
        fault::point(moments.disk_cloned);
        if !self.manifest.egress_deny.is_empty() {
            self.shared.slots.deny(&seat.slot, &self.manifest.egress_deny).await?;
        }
        let prepared = begun.elapsed();
        self.manifest.slot = Some(seat.slot.number());
        let (manifest, home) = (self.manifest.clone(), self.files.dir.clone());
        let recorded = blocking(move || manifest.write(&home, Lasting::Crash));

        let identity = Identity {
            seed: random::hex::<32>(),
            wall_clock_ns: random::wall_clock_ns(),
            token: seat.token.to_string(),
            who,
            mounts: self.mounts(inherited.mounted),
        };
        let wanted = identity.mounts.iter().map(|mount| mount.layout.mounts()).sum();
        let file_of = |index| (index < self.manifest.spares.len()).then(|| self.files.spare(index));
        let used_first = memory.clone();
        // Beside the VMM's start. It does the same without, later.
        self.shared.tasks.spawn_blocking(move || {
            if let Err(error) = memory::warm(&used_first, &parts.touched) {
                tracing::warn!(%error, "what a machine will use first is not read ahead");
            }
        });
        let restored = self.shared.hypervisor.restore(RestoreSpec {
            home: self.home(),
            shape: self.manifest.shape,
            memory,
            device_state: parts.devices,
            disks: Disks { root: self.files.root(), spares: std::array::from_fn(file_of) },
            slot: seat.slot,
            first_words: ControlLine::encode(&ToGuest::Restored(identity)),
        });
        let (recorded, restored) = tokio::join!(recorded, restored);
        let started = begun.elapsed();
        let Started { machine, control } = restored?;
        self.machine = Some(Arc::clone(&machine));
        fault::point(moments.started);
        recorded?;
        let mut control = ControlLine::new(control);
        tokio::select! {
            ready = control.wait(READY_LIMIT, |said| matches!(said, ToHost::Ready { .. })) => {
                // An older agent passes over what it does not know.
                if ready? != (ToHost::Ready { mounted: wanted }) {
                    return Err(ActorError::NotMounted);
                }
            }
            said = machine.exited() => return Err(VmError::Exited { said }.into()),
        }
        fault::point(moments.ready);
        self.control = Some(control);
        self.attached = true;
        self.set_clock().await;
        // Where the time of a create goes; the benchmark reads it from here.
        tracing::info!(
            sandbox = id.short(),
            files_us = micros(prepared),
            spawn_us = micros(started - prepared),
            ready_us = micros(begun.elapsed() - started),
            "restored"
        );
        Ok(())
    }

    /// What a new machine is told to mount: the first are mounted already.
    fn mounts(&self, mounted: usize) -> Vec<Mount> {
        let spares = self.manifest.spares.iter().enumerate().skip(mounted);
        spares.filter_map(|(index, spare)| spare.order(index)).collect()
    }

    /// Takes over a machine that an earlier server started.
    pub(super) async fn adopt(&mut self, started: Started) {
        let machine = Arc::clone(&started.machine);
        self.machine = Some(started.machine);
        self.control = Some(ControlLine::new(started.control));
        // The server may have ended between an act and its record: the record holds.
        let settled = async {
            if self.manifest.state == State::Running {
                machine.resume().await?;
                self.attach().await?;
            }
            self.forget_saving().await?;
            if self.manifest.state == State::Paused {
                // A paused guest cannot answer: it is told when it runs again.
                machine.pause().await?;
            }
            Ok::<_, ActorError>(())
        };
        if let Err(error) = settled.await {
            let reason = format!("after a restart of the server: {}", crate::chain(&error));
            self.act(Event::MachineEnded { reason }).await;
        }
    }

    pub(super) async fn attach(&mut self) -> Result<(), ActorError> {
        let Some(control) = &mut self.control else { return Err(Denial::HasFailed.into()) };
        let Some(seat) = &self.seat else { return Err(Denial::HasFailed.into()) };
        control.send(&ToGuest::Attached { token: seat.token.to_string() }).await?;
        control.wait(ATTACH_LIMIT, |said| *said == ToHost::Attached).await?;
        self.attached = true;
        Ok(())
    }
}
