//! Holding the workload while the machine is saved.

use std::time::Duration;

use pando_guest_protocol::control::FROZEN_LIMIT;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::process::{self, HoldError};
use crate::sys::log;

/// How long disks are written to before it goes on without. The workload runs
/// meanwhile. A disk that is not clean then is whole all the same: it has a journal.
const SYNC_LIMIT: Duration = Duration::from_secs(1);

/// Whether the workload is held, and until when.
#[derive(Debug, Default)]
pub struct Freezer {
    workload: Workload,
    /// The latest writing of disks, which may take longer than its limit.
    syncing: Option<JoinHandle<()>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Workload {
    #[default]
    Runs,
    HeldUntil(Instant),
    HeldForGood,
}

impl Freezer {
    /// Holds the workload; where its disks are to be written, does that first.
    ///
    /// # Errors
    /// [`HoldError`]; the workload goes on.
    pub async fn freeze(&mut self, write_disks: bool) -> Result<(), HoldError> {
        if self.workload == Workload::Runs {
            if write_disks {
                self.sync().await;
            }
            process::hold()?;
        }
        self.workload = Workload::HeldUntil(Instant::now() + FROZEN_LIMIT);
        Ok(())
    }

    /// Lets the workload go on.
    pub fn thaw(&mut self) {
        if self.workload == Workload::Runs {
            return;
        }
        self.workload = Workload::Runs;
        if let Err(error) = process::release() {
            // A machine in which nothing moves tells the rest.
            log::error(format_args!("thaw: {error}"));
        }
    }

    /// Where the workload is held, keeps it so: what it would go on in is not its machine.
    pub fn keep_held(&mut self) {
        if self.workload != Workload::Runs {
            self.workload = Workload::HeldForGood;
        }
    }

    /// Returns when the workload has been held for as long as it may be.
    pub async fn overdue(&self) {
        match self.workload {
            Workload::HeldUntil(time) => sleep_until(time).await,
            Workload::Runs | Workload::HeldForGood => std::future::pending().await,
        }
    }

    /// On another thread. One that is still at it is waited for, instead of a second beside it.
    async fn sync(&mut self) {
        let syncing =
            self.syncing.get_or_insert_with(|| tokio::task::spawn_blocking(rustix::fs::sync));
        if timeout(SYNC_LIMIT, syncing).await.is_ok() {
            self.syncing = None;
        }
    }
}
