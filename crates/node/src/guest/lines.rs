//! Values that come as lines of JSON, whole lines in each `Data` frame.

use pando_guest_protocol::frame::{Frame, FrameError, Kind};
use serde::de::DeserializeOwned;

use super::client::{GuestError, unexpected};

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
