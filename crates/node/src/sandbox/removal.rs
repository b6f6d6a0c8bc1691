//! Taking a sandbox apart, in the reverse order of its making.

use std::fs;
use std::io;
use std::time::Duration;

use pando_vm::sys::durable;
use pando_vm::sys::fault::{self, Fault};

use super::actor::{Actor, blocking};
use super::handle::ActorError;
use super::policy::{Decision, Event};

/// How long until a failed removal is tried again.
const RETRY: Duration = Duration::from_secs(1);

impl Actor {
    /// Takes everything apart, until it is done.
    pub(super) async fn take_apart(&mut self) {
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
        self.promise = None;
        fault::point(Fault::DeleteKilled);
        let dir = self.files.dir.clone();
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
        // One that sleeps or failed at a start has none.
        if let Some(seat) = &self.seat {
            self.shared.slots.release(&seat.slot).await?;
            self.seat = None;
        }
        Ok(())
    }
}
