//! Machines that a full disk stopped go on once there is room again.
//!
//! Where a guest's write finds no room, a VMM stops the machine, and tries that write again
//! when the machine is told to go on (QEMU's `werror=enospc`, which is what a disk has that
//! says nothing). So nothing of it is lost, but nobody tells it to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;

use crate::sandbox::handle::Command;
use crate::shared::Shared;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// With less than this free, in bytes, a write may have found no room.
const FULL_BYTES: u64 = 32 << 20;
/// With this free again, in bytes, those that were stopped go on.
const ROOM_BYTES: u64 = 2 * FULL_BYTES;

/// How often they are told again: a write that found no room may be noticed late, when what
/// was written to memory is written back.
const MORE_LOOKS: u8 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    HasRoom,
    WasFull,
    HasRoomAgain { more_looks: u8 },
}

impl Disk {
    /// How it is with so much free, and whether machines are to go on now.
    fn with(self, free_bytes: u64) -> (Self, bool) {
        match self {
            _ if free_bytes < FULL_BYTES => (Self::WasFull, false),
            Self::WasFull if free_bytes >= ROOM_BYTES => {
                (Self::HasRoomAgain { more_looks: MORE_LOOKS }, true)
            }
            Self::HasRoomAgain { more_looks: 0 } => (Self::HasRoom, false),
            Self::HasRoomAgain { more_looks } => {
                (Self::HasRoomAgain { more_looks: more_looks - 1 }, true)
            }
            same => (same, false),
        }
    }
}

/// Whether the disk is as good as full.
pub(crate) fn is_full(shared: &Shared) -> bool {
    shared.data.free_bytes().is_some_and(|free| free < FULL_BYTES)
}

/// Looks until the server stops.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut disk = Disk::HasRoom;
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let Some(free) = shared.data.free_bytes() else { continue };
        let (now, is_over) = disk.with(free);
        match (disk, now) {
            (Disk::HasRoom | Disk::HasRoomAgain { .. }, Disk::WasFull) => {
                tracing::warn!("the disk is full: machines that write to it stand still");
            }
            (Disk::WasFull, Disk::HasRoomAgain { .. }) => {
                tracing::info!("the disk has room again: what stands still goes on");
            }
            _ => {}
        }
        // Whoever is too busy to be told is told the next time.
        disk = if is_over && !all_go_on(&shared) { Disk::WasFull } else { now };
    }
}

/// Tells all; whether each one took it.
fn all_go_on(shared: &Shared) -> bool {
    let told = shared.all().into_iter().map(|(_, handle)| handle.commands.try_send(Command::GoOn));
    told.filter(|told| matches!(told, Err(TrySendError::Full(_)))).count() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_go_on_for_a_while_after_the_disk_was_full() {
        let mut disk = Disk::HasRoom;
        let mut seen = Vec::new();
        for free_mib in [500, 40, 31, 0, 33, 63, 64, 40, 31, 64].into_iter().chain([500; 40]) {
            let (now, is_over) = disk.with(free_mib << 20);
            disk = now;
            seen.push(is_over);
        }
        // Not before there is room, and not while it is gone once more.
        assert_eq!(seen[..10], [false, false, false, false, false, false, true, true, false, true]);
        assert_eq!(seen[10..].iter().filter(|over| **over).count(), usize::from(MORE_LOOKS));
        assert_eq!(disk, Disk::HasRoom);
    }
}
