//! Taking a sandbox apart, in the reverse order of its making.

use std::fs;
use std::io;
use std::time::Duration;

use pando_guest_protocol::control::{ToGuest, ToHost};
use pando_vm::sys::durable;
use pando_vm::sys::fault::{self, Fault};

use super::actor::{Actor, blocking};
use super::handle::ActorError;
use super::policy::{Decision, Denial, Event};

/// How long until a failed removal is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long a guest may take to write to its volumes before it is ended. Its agent takes
/// about half of it for the disks, at most.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

impl Actor {
    /// Takes everything apart, until it is done.
    pub(super) async fn take_apart(&mut self) {
        self.let_volumes_settle().await;
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

    /// Gives the guest a moment to write what it has not yet written to the volumes that
    /// it holds, which outlive it. What it has told its disks to keep is there in any case.
    async fn let_volumes_settle(&mut self) {
        let holds = self.manifest.spares.iter().any(|spare| spare.held().is_some());
        let (true, Some(machine)) = (holds, self.machine.clone()) else { return };
        let settled = async {
            // Only a guest that runs writes.
            machine.resume().await?;
            if !self.attached {
                self.attach().await?;
            }
            let control = self.control.as_mut().ok_or(Denial::HasFailed)?;
            control.skip_unread();
            control.send(&ToGuest::Freeze).await?;
            control.wait(SETTLE_LIMIT, |said| *said == ToHost::Frozen).await?;
            Ok::<_, ActorError>(())
        };
        let settled = tokio::time::timeout(SETTLE_LIMIT, settled).await;
        if !matches!(settled, Ok(Ok(()))) {
            tracing::warn!(sandbox = self.id().short(), "its volumes are as after a power cut");
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
