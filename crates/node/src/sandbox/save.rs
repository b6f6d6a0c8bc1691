//! Saving a machine that runs: memory, device state and disks of one instant.
//!
//! ```text
//! freeze the guest ─► stop the vCPUs ─► device state, disks, memory ─► run ─► thaw
//!                     └───────────── the pause ───────────────────────┘
//! ```
//!
//! The guest is frozen first, so that whoever wakes from what is saved finds every
//! process but the agent still, and the agent's next word is who it is. A disk is
//! a reflink, and of the memory only what was written since the restore is copied.
//! `saving/` is there from before the freeze until after the thaw: a server that
//! finds it at its start lets the guest go on.

use std::fs::File;
use std::io;
use std::iter;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pando_guest_protocol::control::{FROZEN_LIMIT, ToGuest, ToHost};
use pando_vm::memory::Saved;
use pando_vm::sys::fault::{self, Fault};
use pando_vm::sys::{durable, host, reflink};

use super::actor::{Actor, blocking, micros};
use super::clock::ClockWatch;
use super::handle::{ActorError, Taken};
use super::policy::{Decision, Denial, Event, State};
use crate::image::{Facts, Image, Parts, Passing, make_dir};
use crate::{random, stalled};

/// How long a guest may take until its processes stand still and its disks are
/// written to: half of what its agent keeps them so by itself.
const FREEZE_LIMIT: Duration = Duration::from_secs(FROZEN_LIMIT.as_secs() / 2);
/// How long it may take to let them go.
const THAW_LIMIT: Duration = Duration::from_secs(10);
/// Disk that stays free, in bytes: for what running guests write meanwhile.
const RESERVE_BYTES: u64 = 256 << 20;

/// What was saved of a machine that stands still since.
pub(super) struct Held {
    pub saved: Saved,
    pub since: Instant,
}

/// What comes after a machine was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It goes on. What its disk lacks is in its memory, here as in whatever is made of
    /// the image: nothing is waited for.
    GoesOn,
    /// It ends. Should its image ever be of no use, its disk has as much as can be.
    Ends,
}

impl Actor {
    /// Takes an image of the machine, which then goes on.
    pub(super) async fn save(&mut self) -> Result<Taken, ActorError> {
        let held = self.hold(Next::GoesOn).await?;
        let went_on = self.go_on().await;
        let pause = held.since.elapsed();
        fault::point(Fault::SaveResumed);
        let dir = self.files.saving();
        let image = match went_on {
            Ok(()) => {
                let facts = self.facts(held.saved, pause);
                let target = self.shared.data.grave();
                blocking(move || {
                    let image = Image::describe(&dir, facts)?;
                    // Gone at the next start, whoever it was for.
                    image.rename(&target)
                })
                .await
                .map_err(ActorError::from)
            }
            Err(error) => Err(error),
        };
        if image.is_err() {
            self.drop_saving().await;
        }
        fault::point(Fault::SaveMoved);
        Ok(Taken { image: Passing(image?), pause })
    }

    /// A machine that runs, as far as anyone knows, may stand still in the midst of a write.
    pub(super) async fn go_on_after_a_full_disk(&self) {
        if self.manifest.state == State::Running
            && let Ok(machine) = self.running()
            && let Err(error) = machine.resume().await
        {
            tracing::warn!(
                sandbox = self.id().short(),
                error = crate::chain(&error),
                "it may stand still"
            );
        }
    }

    /// Takes an image of a sandbox that sleeps: it is there already.
    pub(super) async fn copy_image(&self) -> Result<Taken, ActorError> {
        let (asleep, target) = (self.files.asleep(), self.shared.data.grave());
        let copied = tokio::task::spawn_blocking(move || {
            let image = Image::open(&asleep)?;
            let copy = Passing(image.copy_to(&target)?);
            Ok::<_, ActorError>(copy)
        });
        let copied = copied.await.unwrap_or_else(|error| Err(io::Error::other(error).into()));
        Ok(Taken { image: copied?, pause: Duration::ZERO })
    }

    /// What the image of this moment is.
    pub(super) fn facts(&self, saved: Saved, pause: Duration) -> Facts {
        Facts {
            sandbox: self.id(),
            epoch: self.manifest.epoch,
            generation: self.manifest.generation.next(),
            taken: self.shared.clock.now(),
            machine: self.manifest.machine.clone(),
            hypervisor: self.shared.hypervisor.identity(),
            shape: self.manifest.shape,
            egress_deny: self.manifest.egress_deny.clone(),
            spares: self.manifest.spares.clone(),
            mounts_nothing: false,
            pause,
            saved,
        }
    }

    /// Stops the machine and saves it to `saving/`; it then stands still. When that
    /// fails it goes on.
    pub(super) async fn hold(&mut self, next: Next) -> Result<Held, ActorError> {
        let held = self.try_hold(next).await.map_err(|error| match error {
            // It stands still in the midst of a write, and says nothing.
            ActorError::Control(_) | ActorError::Restless if stalled::is_full(&self.shared) => {
                io::Error::from(io::ErrorKind::StorageFull).into()
            }
            error => error,
        });
        if held.is_err() {
            // Why it was not saved matters more than whether it went on, which its
            // state tells.
            let _ = self.go_on().await;
            self.drop_saving().await;
        }
        held
    }

    async fn try_hold(&mut self, next: Next) -> Result<Held, ActorError> {
        let machine = self.running()?;
        let room_bytes = self.room_bytes();
        let (files, disks) = (self.files.clone(), self.disks());
        blocking(move || {
            durable::remove_dir(&files.saving())?;
            make_dir(&files.saving())?;
            match next {
                Next::GoesOn => Ok(()),
                // Most of what the guest has written reaches the disk while it still runs.
                Next::Ends => disks.iter().try_for_each(|disk| File::open(disk)?.sync_data()),
            }
        })
        .await?;
        if self.manifest.state == State::Paused {
            // Only a guest that runs can be told to stand still.
            machine.resume().await?;
            if !self.attached {
                self.attach().await?;
            }
        }
        let begun = Instant::now();
        let control = self.control.as_mut().ok_or(Denial::HasFailed)?;
        control.skip_unread();
        control.send(&ToGuest::Freeze { write_disks: next == Next::Ends }).await?;
        control.wait(FREEZE_LIMIT, |said| *said == ToHost::Frozen).await?;
        fault::point(Fault::SaveFrozen);
        let since = Instant::now();
        machine.pause().await?;
        let stopped = since.elapsed();
        // Its agent would soon have let go by itself, or has.
        if begun.elapsed() > FREEZE_LIMIT {
            return Err(ActorError::Restless);
        }
        fault::point(Fault::SaveStopped);
        let saving = self.files.saving();
        let target = Parts::within(&saving, 0);
        let (disks, copies) = (self.disks(), target.clone());
        let memory = self.files.memory()?;
        let (devices, disk, memory) = tokio::join!(
            machine.save_device_state(&target.devices),
            blocking(move || {
                let copies = iter::once(&copies.root).chain(&copies.spares);
                disks
                    .iter()
                    .zip(copies)
                    .try_for_each(|(disk, copy)| reflink::clone_file(disk, copy))
            }),
            machine.save_memory(&memory, &saving, room_bytes),
        );
        devices?;
        disk?;
        let saved = memory?;
        // Where the time of a save goes; the benchmark reads it from here.
        tracing::info!(
            sandbox = self.id().short(),
            freeze_us = micros(since - begun),
            stop_us = micros(stopped),
            write_us = micros(since.elapsed() - stopped),
            written_bytes = saved.written_bytes,
            "saved"
        );
        fault::point(Fault::SaveWritten);
        Ok(Held { saved, since })
    }

    /// The files of its disks, the root's first.
    fn disks(&self) -> Vec<PathBuf> {
        let spares = (0..self.manifest.spares.len()).map(|index| self.files.spare(index));
        iter::once(self.files.root()).chain(spares).collect()
    }

    /// What may be written, by the pool and by the disk that its image grows on.
    fn room_bytes(&self) -> u64 {
        let places: [PathBuf; 2] = [self.shared.data.pool(), self.shared.data.root().to_owned()];
        let free = places.iter().filter_map(|place| host::free_disk_bytes(place)).min();
        free.map_or(u64::MAX, |free| free.saturating_sub(RESERVE_BYTES))
    }

    /// Lets a machine that was held go on as it was. One that cannot has failed.
    pub(super) async fn go_on(&mut self) -> Result<(), ActorError> {
        let went_on = self.try_go_on().await;
        if let Err(error) = &went_on {
            let reason = format!("it did not go on after it was saved: {}", crate::chain(error));
            let failed = self.manifest.state.on(Event::MachineEnded { reason });
            if let Decision::Enter(state) = failed {
                self.drop_machine().await;
                self.enter(state).await?;
            }
        }
        went_on
    }

    async fn try_go_on(&mut self) -> Result<(), ActorError> {
        let machine = self.running()?;
        machine.resume().await?;
        self.thaw().await;
        if self.manifest.state == State::Paused {
            machine.pause().await?;
        }
        Ok(())
    }

    /// Lets the guest's processes run, and sets its clock. An agent that is not heard
    /// does the one by itself after a while.
    async fn thaw(&mut self) {
        self.clock = ClockWatch::new();
        let Some(control) = &mut self.control else { return };
        let thawed = async {
            control.send(&ToGuest::Thaw { wall_clock_ns: random::wall_clock_ns() }).await?;
            control.wait(THAW_LIMIT, |said| *said == ToHost::Thawed).await
        };
        if let Err(error) = thawed.await {
            tracing::warn!(sandbox = self.id().short(), error = crate::chain(&error), "not thawed");
        }
    }

    /// After a restart of the server: ends a save that was cut off.
    pub(super) async fn forget_saving(&mut self) -> Result<(), ActorError> {
        if !self.files.saving().exists() {
            return Ok(());
        }
        self.running()?.resume().await?;
        if !self.attached {
            self.attach().await?;
        }
        self.thaw().await;
        self.drop_saving().await;
        Ok(())
    }

    /// Removes what was saved in part.
    pub(super) async fn drop_saving(&self) {
        let saving = self.files.saving();
        if let Err(error) = blocking(move || durable::remove_dir(&saving)).await {
            tracing::warn!(sandbox = self.id().short(), %error, "half an image stays");
        }
    }
}
