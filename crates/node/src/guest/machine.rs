//! What a guest says of its machine.

use std::time::Duration;

use pando_guest_protocol::machine::{MAX_COMMAND_LINE_BYTES, MAX_PROCESSES, Process, Stats};
use pando_guest_protocol::session::Operation;

use super::client::{Guest, GuestError, within};
use super::lines::{self, Most};
use crate::held::Held;

/// How long a guest may take to look at itself; a loaded one is slow.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of frames of a list: JSON may take six bytes for one of a command line.
const MAX_LIST_BYTES: usize = MAX_PROCESSES * (6 * MAX_COMMAND_LINE_BYTES + 512);

impl Guest {
    /// The processes, by id.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn processes(&self) -> Result<Held<Vec<Process>>, GuestError> {
        let most = Most { bytes: MAX_LIST_BYTES, values: MAX_PROCESSES };
        within(LOOK_TIMEOUT, lines::all(self, Operation::Processes, most)).await
    }

    /// How much of the machine is in use.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn stats(&self) -> Result<Stats, GuestError> {
        self.ask::<Stats>(Operation::Stats, LOOK_TIMEOUT).await.map(|held| held.apart().0)
    }
}
