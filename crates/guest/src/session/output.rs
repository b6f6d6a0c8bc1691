//! Passing a command's output on, with backpressure: nothing is read from a pipe
//! before the last that was read is with the host's kernel.

use std::time::Duration;

use pando_guest_protocol::frame::{self, FrameError, Kind};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

use crate::logs;

/// Most bytes that are read at once.
const READ_BYTES: usize = 32 * 1024;
/// After the command has ended, a pipe that stays silent this long is let go:
/// whatever it left running in the background may hold it open for ever.
const QUIET: Duration = Duration::from_millis(200);
/// After the command has ended, a background process that keeps talking is not
/// listened to for longer than this.
const TALK_LIMIT: Duration = Duration::from_secs(1);

/// The state of the command that writes to a pipe.
#[derive(Debug, Clone, Copy)]
pub enum Writer {
    /// It runs.
    Running,
    /// It has ended; what it wrote is in the pipe.
    Ended(Instant),
}

/// Passes one stream on, as frames of `kind`, and into the log, until it ends or has no more of the command's own.
/// Dropped at any time, what was read is in the log.
///
/// # Errors
/// The connection's.
pub async fn relay<W: AsyncWrite + Unpin>(
    pipe: &mut pipe::Receiver,
    kind: Kind,
    writer: &Mutex<W>,
    mut command: watch::Receiver<Writer>,
    log: &mut logs::Writer,
) -> Result<(), FrameError> {
    let mut buffer = vec![0; READ_BYTES];
    // What was in the pipe when the command had ended, and is still owed to the host.
    let mut owed: Option<u64> = None;
    loop {
        if let Writer::Ended(time) = *command.borrow_and_update() {
            let left = owed.get_or_insert_with(|| rustix::io::ioctl_fionread(&*pipe).unwrap_or(0));
            if *left == 0 && time.elapsed() > TALK_LIMIT {
                return Ok(());
            }
        }
        let count = tokio::select! {
            biased;
            // A pipe has no other way to fail than to end.
            count = pipe.read(&mut buffer) => count.unwrap_or(0),
            Ok(()) = command.changed(), if owed.is_none() => continue,
            () = sleep(QUIET), if owed.is_some() => 0,
        };
        if count == 0 {
            return Ok(());
        }
        log.push(&buffer[..count]);
        owed = owed.map(|left| left.saturating_sub(count as u64));
        frame::write(&mut *writer.lock().await, kind, &buffer[..count]).await?;
    }
}
