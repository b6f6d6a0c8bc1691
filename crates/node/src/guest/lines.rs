//! Values that come as lines of JSON, whole lines in each `Data` frame.

use pando_guest_protocol::frame::{Frame, FrameError, Kind};
use pando_guest_protocol::session::Operation;
use serde::de::DeserializeOwned;

use super::client::{ANSWER_TIMEOUT, EACH_BYTE_READ, Guest, GuestError, unexpected, within};
use super::frames::Frames;
use crate::held::Held;

/// How much is taken of a list that a guest sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub bytes: usize,
    pub values: usize,
}

/// All values that answer `operation`, counted as they come.
pub(super) async fn all<T: DeserializeOwned>(
    guest: &Guest,
    operation: Operation,
    most: Most,
) -> Result<Held<Vec<T>>, GuestError> {
    let mut session = guest.open(operation).await?;
    let mut frames = Frames::whole(guest.account());
    let (mut all, mut charge, mut bytes) = (Vec::new(), guest.account().nothing(), 0);
    loop {
        let frame = within(ANSWER_TIMEOUT, frames.next(&mut session)).await?;
        let Some(some) = values::<T>(&frame)? else { return Ok(Held::new(all, charge)) };
        bytes += frame.payload.len();
        if bytes > most.bytes || all.len() + some.len() > most.values {
            return Err(GuestError::TooLarge { limit_bytes: most.bytes });
        }
        charge.grow(EACH_BYTE_READ * frame.payload.len())?;
        all.extend(some);
    }
}

/// The values of a `Data` frame, or `None` for the frame that ends them.
pub(super) fn values<T: DeserializeOwned>(frame: &Frame) -> Result<Option<Vec<T>>, GuestError> {
    match frame.kind {
        Kind::Data => parse(&frame.payload).map(Some),
        Kind::End => Ok(None),
        _ => Err(unexpected(frame)),
    }
}

/// The values in `bytes`.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, GuestError> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let values = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
    values.map_err(|error| GuestError::Frame(FrameError::from(error)))
}
