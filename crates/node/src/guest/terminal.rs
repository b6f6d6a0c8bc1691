//! Terminals in a guest.

use bytes::Bytes;
use pando_guest_protocol::frame::Kind;
use pando_guest_protocol::session::{ExecDone, Operation};
use pando_guest_protocol::terminal::{Size, Terminal};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::client::{Guest, GuestError, reply, unexpected};
use super::exec::{write_data, write_json};
use super::frames::{Frames, PIECE_BYTES};

/// What is typed at a terminal. Dropping it hangs the terminal up.
#[derive(Debug)]
pub struct TerminalInput(OwnedWriteHalf);

/// What a terminal shows.
#[derive(Debug)]
pub struct TerminalOutput {
    reader: OwnedReadHalf,
    frames: Frames,
    guest: Guest,
}

/// What comes from a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalEvent {
    /// What its program wrote.
    Output(Bytes),
    /// The program ended; nothing follows.
    Exit(ExecDone),
}

impl Guest {
    /// Runs a program on a new terminal, until it ends or the terminal is hung up.
    /// That it could not be started is told by the output.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn terminal(
        &self,
        terminal: Terminal,
    ) -> Result<(TerminalInput, TerminalOutput), GuestError> {
        let session = self.open(Operation::Terminal(terminal)).await?;
        // What was typed and not read would hide an ordinary close from the agent; a
        // reset passes it by (tcp(7), SO_LINGER in socket(7)).
        session.set_zero_linger().map_err(GuestError::Connect)?;
        let (reader, writer) = session.into_split();
        let frames = Frames::in_pieces(self.account(), PIECE_BYTES);
        Ok((TerminalInput(writer), TerminalOutput { reader, frames, guest: self.clone() }))
    }
}

impl TerminalInput {
    /// Types. A program that does not read what is typed fails it after a while.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn type_in(&mut self, bytes: &[u8]) -> Result<(), GuestError> {
        write_data(&mut self.0, bytes).await
    }

    /// Changes the terminal's size.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn resize(&mut self, size: Size) -> Result<(), GuestError> {
        write_json(&mut self.0, Kind::Resize, &size).await
    }
}

impl TerminalOutput {
    /// What comes next. A terminal may be silent for as long as its sandbox lives.
    /// Not cancel-safe.
    ///
    /// # Errors
    /// [`GuestError::Failed`] when the program could not be started; any other [`GuestError`].
    pub async fn next(&mut self) -> Result<TerminalEvent, GuestError> {
        let frame = tokio::select! {
            frame = self.frames.next(&mut self.reader) => frame?,
            gone = self.guest.gone() => return Err(gone),
        };
        match frame.kind {
            Kind::Stdout => Ok(TerminalEvent::Output(frame.payload.into())),
            Kind::Reply => Ok(TerminalEvent::Exit(reply(&frame)?)),
            _ => Err(unexpected(&frame)),
        }
    }
}
