//! Booting a sandbox that has failed from the disk that its machine left.
//!
//! ```text
//! a copy of the disk is booted, in staging ─► saved, fsync ─► named asleep/ ─► recorded
//! └────────── it has still failed, and nothing was changed ────────┘          it sleeps
//! ```
//!
//! What it held in memory is lost with its machine, as when a computer's power fails;
//! what was written to its disk is there. It is booted as a template is, and ends
//! up asleep in an image as any other: so there is one way to make a machine.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use pando_vm::memory::Saved;
use pando_vm::sys::{durable, reflink};

use super::actor::{Actor, blocking};
use super::handle::ActorError;
use super::policy::{Decision, Denial, Event};
use crate::image::{Facts, Image, Parts};

impl Actor {
    /// Makes the image of a fresh boot of its disk. When that fails it has failed still.
    pub(super) async fn boot(&mut self) -> Result<(), ActorError> {
        if !self.files.root().exists() {
            return Err(Denial::HasNoDisk.into());
        }
        // Those that it held are free for others since it failed; what is its own is there.
        if self.manifest.spares.iter().any(|spare| spare.held().is_some()) {
            return Err(Denial::LostVolumes.into());
        }
        self.leave_seat();
        let dir = self.shared.data.staging().join(format!("boot-{}", self.id()));
        let booted = self.boot_in(&dir).await;
        if booted.is_err() {
            self.shared.sweep(dir);
        }
        booted
    }

    async fn boot_in(&mut self, dir: &std::path::Path) -> Result<(), ActorError> {
        let (org, shape) = (self.manifest.org, self.manifest.shape);
        let _promise = self.shared.promise_again(org, shape).await?;
        let slot = self.shared.slots.take().await?;
        let booted = self
            .shared
            .bakery
            .boot(dir, &self.files.root(), self.manifest.shape, Arc::clone(&slot))
            .await;
        self.shared.slots.release(&slot).await?;
        booted.map_err(|error| ActorError::NotBooted(Box::new(error)))?;
        let facts = Facts { mounts_nothing: true, ..self.facts(Saved::default(), Duration::ZERO) };
        let (dir, asleep) = (dir.to_owned(), self.files.asleep());
        let spares: Vec<_> =
            (0..self.manifest.spares.len()).map(|index| self.files.spare(index)).collect();
        blocking(move || {
            let copies = Parts::within(&dir, 0).spares;
            for (spare, copy) in spares.iter().zip(&copies) {
                reflink::clone_file(spare, copy)?;
            }
            Image::describe(&dir, facts)?.sync()?;
            durable::remove_dir(&asleep)?;
            fs::rename(&dir, &asleep)?;
            durable::sync_parent(&asleep)
        })
        .await?;
        // From here on the image counts, whatever ends.
        if let Decision::Enter(state) = self.manifest.state.on(Event::Booted) {
            self.enter(state).await?;
        }
        Ok(())
    }
}
