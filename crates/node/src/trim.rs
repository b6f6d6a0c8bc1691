//! Gives the disk below the pool's image back what the pool no longer uses.
//!
//! In one go, now and then: the file system would do it at each removal (`discard`), and
//! whoever waits for the disk next would wait for that, too (80 ms after a fork of 200 MiB
//! was removed).

use std::time::Duration;

use pando_vm::sys::trim;
use tokio_util::sync::CancellationToken;

use crate::data::{DataDir, Slack};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Not worth the work below it, in bytes.
const MUCH_BYTES: u64 = 1 << 30;
/// Where the disk below has less left than this, in bytes, a little is worth it.
const SCARCE_BYTES: u64 = 8 << 30;
const LITTLE_BYTES: u64 = 64 << 20;

/// Looks until the server stops.
pub(crate) async fn keep(data: DataDir, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let data = data.clone();
        // Awaited in any case: nothing of it is left when the pool is unmounted.
        let trimmed = tokio::task::spawn_blocking(move || {
            let slack = data.slack().filter(is_due)?;
            Some((slack, trim::trim(&data.pool())))
        });
        match trimmed.await {
            Ok(Some((slack, Ok(())))) => {
                tracing::debug!(bytes = slack.unused_bytes, "given back to the disk");
            }
            Ok(Some((_, Err(error)))) => {
                tracing::warn!(%error, "what the pool no longer uses stays taken of the disk");
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the trim broke off"),
        }
    }
}

fn is_due(slack: &Slack) -> bool {
    let is_scarce = slack.free_below_bytes < SCARCE_BYTES;
    slack.unused_bytes >= if is_scarce { LITTLE_BYTES } else { MUCH_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_given_back_where_the_disk_is_short() {
        let due = |unused_mib: u64, free_gib: u64| {
            is_due(&Slack { unused_bytes: unused_mib << 20, free_below_bytes: free_gib << 30 })
        };
        assert!(!due(1000, 100) && due(1024, 100));
        assert!(!due(63, 7) && due(64, 7));
    }
}
