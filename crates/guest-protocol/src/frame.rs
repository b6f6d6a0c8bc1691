//! Frames: one byte of kind, four of length (big endian), then that many bytes.
//!
//! A reader believes no length beyond [`MAX_PAYLOAD_BYTES`], and never holds more
//! than one frame. One that is to hold less reads the [`Header`] first.

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most bytes in one frame.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
/// The bytes of `Data`, `Stdout` and `Stderr` that a sender puts in one frame.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// JSON [`Request`](crate::session::Request).
    Request = 1,
    /// JSON, by operation.
    Reply = 2,
    /// JSON [`Failure`](crate::session::Failure).
    Failed = 3,
    /// Bytes of a file, of a listing, or of standard input.
    Data = 4,
    /// No more `Data` follows. Empty.
    End = 5,
    /// Bytes of standard output.
    Stdout = 6,
    /// Bytes of standard error.
    Stderr = 7,
    /// JSON [`Signal`](crate::session::Signal), for a running command.
    Signal = 8,
    /// JSON [`Size`](crate::terminal::Size), for a running terminal.
    Resize = 9,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Request,
            2 => Self::Reply,
            3 => Self::Failed,
            4 => Self::Data,
            5 => Self::End,
            6 => Self::Stdout,
            7 => Self::Stderr,
            8 => Self::Signal,
            9 => Self::Resize,
            _ => return None,
        })
    }
}

/// What comes before a frame's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame holds.
    pub kind: Kind,
    /// How many bytes follow.
    pub length: usize,
}

/// One frame, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it holds.
    pub kind: Kind,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// Why a frame could not be read, written or understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection failed, or ended within a frame.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    /// The connection ended between frames where one was due.
    #[error("the connection ended where a frame was due")]
    Ended,
    /// A kind that does not exist.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// A length beyond the limit.
    #[error("a frame of {0} bytes is over the limit of {MAX_PAYLOAD_BYTES}")]
    TooLong(usize),
    /// The JSON does not fit.
    #[error("the frame's JSON does not fit")]
    Json(#[from] serde_json::Error),
}

impl Frame {
    /// The payload as JSON.
    ///
    /// # Errors
    /// [`FrameError::Json`] when it does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        Ok(serde_json::from_slice(&self.payload)?)
    }
}

/// Reads what comes before a frame's bytes; `None` when the connection ended cleanly
/// before it.
///
/// Not cancel-safe: a reader that is dropped midway has lost its place.
///
/// # Errors
/// Any [`FrameError`] but [`FrameError::Ended`].
pub async fn read_header<R: AsyncRead + Unpin>(
    reader: &mut R,
) -> Result<Option<Header>, FrameError> {
    let mut header = [0u8; 5];
    let mut filled = 0;
    while filled < header.len() {
        let count = reader.read(&mut header[filled..]).await?;
        if count == 0 {
            if filled == 0 {
                return Ok(None);
            }
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        filled += count;
    }
    let kind = Kind::from_byte(header[0]).ok_or(FrameError::UnknownKind(header[0]))?;
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if length > MAX_PAYLOAD_BYTES {
        return Err(FrameError::TooLong(length));
    }
    Ok(Some(Header { kind, length }))
}

/// Reads one frame; `None` when the connection ended cleanly before it.
///
/// Not cancel-safe: a reader that is dropped midway has lost its place.
///
/// # Errors
/// Any [`FrameError`] but [`FrameError::Ended`].
pub async fn read<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Option<Frame>, FrameError> {
    let Some(Header { kind, length }) = read_header(reader).await? else { return Ok(None) };
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload).await?;
    Ok(Some(Frame { kind, payload }))
}

/// Reads one frame that must be there.
///
/// # Errors
/// Any [`FrameError`]; [`FrameError::Ended`] when the connection ended instead.
pub async fn expect<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Frame, FrameError> {
    read(reader).await?.ok_or(FrameError::Ended)
}

/// Writes one frame in one write.
///
/// # Errors
/// [`FrameError::TooLong`] beyond the limit, [`FrameError::Io`] when the connection fails.
pub async fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    kind: Kind,
    payload: &[u8],
) -> Result<(), FrameError> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(FrameError::TooLong(payload.len()));
    }
    let mut bytes = Vec::with_capacity(5 + payload.len());
    bytes.push(kind as u8);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(payload);
    writer.write_all(&bytes).await?;
    Ok(())
}

/// Writes one frame of JSON.
///
/// # Errors
/// As [`write()`], and [`FrameError::Json`] for a value that has no JSON form.
pub async fn write_json<W: AsyncWrite + Unpin, T: Serialize>(
    writer: &mut W,
    kind: Kind,
    value: &T,
) -> Result<(), FrameError> {
    write(writer, kind, &serde_json::to_vec(value)?).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payload in proptest::collection::vec(any::<u8>(), 0..2000)) {
            runtime().block_on(async {
                let mut bytes = Vec::new();
                write(&mut bytes, Kind::Data, &payload).await.unwrap();
                let frame = expect(&mut bytes.as_slice()).await.unwrap();
                assert_eq!(frame, Frame { kind: Kind::Data, payload });
            });
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            runtime().block_on(async {
                let mut reader = bytes.as_slice();
                while let Ok(Some(_)) = read(&mut reader).await {}
            });
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_not_believed() {
        let bytes = [4, 0xff, 0xff, 0xff, 0xff];
        let error = runtime().block_on(read(&mut bytes.as_slice())).unwrap_err();
        assert!(matches!(error, FrameError::TooLong(0xffff_ffff)));
    }
}
