//! Reading a log that was found.

use futures_util::StreamExt;
use pando_node::guest::{GuestError, LogStream};

use super::follow::Follow;
use super::open::RunLog;
use super::seams::Seams;

impl RunLog {
    /// Its lines, oldest first. One that follows goes on with what comes, and with the next
    /// deployment where one goes live; it ends with the app, or in an error when the app falls
    /// asleep or its sandbox's agent fails.
    ///
    /// # Errors
    /// Any [`GuestError`]; the stream yields later ones.
    pub async fn lines(self) -> Result<LogStream, GuestError> {
        let lines = self.machine.logs(self.query.clone()).await?;
        if self.query.follow {
            return Ok(Follow::new(self, lines).lines());
        }
        let (secrets, mut seams) = (self.secrets, Seams::default());
        let mut clean = move |lines| seams.clean(&secrets.redactor, lines);
        Ok(lines.map(move |lines| lines.map(&mut clean)).boxed())
    }
}
