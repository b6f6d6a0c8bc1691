//! The processes that a guest's agent keeps running.

use std::time::Duration;

use pando_guest_protocol::session::{Done, Operation};
use pando_guest_protocol::supervise::{
    MAX_GRACE_MS, MAX_SUPERVISED, Supervise, SupervisedList, Watched, is_process_name,
};

use super::client::{ANSWER_TIMEOUT, Guest, GuestError};
use crate::held::Held;

/// How long the agent may take until all that has to end has: the longest grace, and a
/// loaded machine's time to take down what was killed.
const SUPERVISE_TIMEOUT: Duration = Duration::from_millis(MAX_GRACE_MS + 60_000);
/// The most processes in a list: beside all that are wanted, as many that end.
const MAX_LISTED: usize = 2 * MAX_SUPERVISED;

impl Guest {
    /// Keeps these processes running, and no others; returns when those that had to end have.
    ///
    /// # Errors
    /// [`GuestError::Failed`] for a list with something wrong, which changes nothing; any
    /// other [`GuestError`].
    pub async fn supervise(&self, list: Supervise) -> Result<(), GuestError> {
        self.ask::<Done>(Operation::Supervise(list), SUPERVISE_TIMEOUT).await.map(drop)
    }

    /// How those processes are, by name.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn supervised(&self) -> Result<Held<Vec<Watched>>, GuestError> {
        let list = self.ask::<SupervisedList>(Operation::ListSupervised, ANSWER_TIMEOUT).await?;
        let processes = list.map(|list| list.processes);
        if processes.len() > MAX_LISTED {
            return Err(GuestError::TooMany { most: MAX_LISTED });
        }
        match processes.iter().find(|process| !is_process_name(&process.name)) {
            Some(process) => Err(GuestError::NoProcess(crate::quote(&process.name))),
            None => Ok(processes),
        }
    }
}
