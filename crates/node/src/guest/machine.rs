//! What a guest says of its machine.

use std::time::Duration;

use pando_guest_protocol::frame;
use pando_guest_protocol::machine::{MAX_COMMAND_LINE_BYTES, MAX_PROCESSES, Process, Stats};
use pando_guest_protocol::session::Operation;

use super::client::{Guest, GuestError, within};
use super::lines;

/// How long a guest may take to look at itself; a loaded one is slow.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of frames of a list: JSON may take six bytes for one of a command line.
const MAX_LIST_BYTES: usize = MAX_PROCESSES * (6 * MAX_COMMAND_LINE_BYTES + 512);

impl Guest {
    /// The processes, by id.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn processes(&self) -> Result<Vec<Process>, GuestError> {
        within(LOOK_TIMEOUT, async {
            let mut session = self.open(Operation::Processes).await?;
            let (mut processes, mut bytes) = (Vec::new(), 0);
            loop {
                let frame = frame::expect(&mut session).await?;
                bytes += frame.payload.len();
                let Some(some) = lines::values::<Process>(&frame)? else { return Ok(processes) };
                processes.extend(some);
                if bytes > MAX_LIST_BYTES || processes.len() > MAX_PROCESSES {
                    return Err(GuestError::TooLarge { limit_bytes: MAX_LIST_BYTES });
                }
            }
        })
        .await
    }

    /// How much of the machine is in use.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn stats(&self) -> Result<Stats, GuestError> {
        self.ask(Operation::Stats, LOOK_TIMEOUT).await
    }
}
