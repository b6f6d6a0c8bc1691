//! What a hostile peer puts on a stream.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What to say; the stream then stays open until the host closes it, unless said otherwise.
#[derive(Debug, Clone)]
pub(super) enum Say {
    /// These bytes.
    Once(Vec<u8>),
    /// These bytes, and the end.
    ThenClose(Vec<u8>),
    /// The first, then the second over and over, as fast as it is taken.
    Forever(Vec<u8>, Vec<u8>),
    /// The first, then the second over and over, one byte a second.
    Slowly(Vec<u8>, Vec<u8>),
}

/// How much is handed to the system at once.
const BLOCK_BYTES: usize = 64 * 1024;

impl Say {
    pub(super) fn nothing() -> Self {
        Self::Once(Vec::new())
    }

    /// Says it. Returns when the stream is closed at either end, with how many
    /// bytes were taken.
    pub(super) async fn over<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> u64 {
        let mut taken = 0;
        let (first, over_and_over, pause) = match self {
            Self::Once(bytes) => (bytes, None, None),
            Self::ThenClose(bytes) => {
                let _ = stream.write_all(bytes).await;
                return bytes.len() as u64;
            }
            Self::Forever(first, again) => {
                let times = (BLOCK_BYTES / again.len()).max(1);
                (first, Some(again.repeat(times)), None)
            }
            Self::Slowly(first, again) => {
                (first, Some(again.clone()), Some(Duration::from_secs(1)))
            }
        };
        if stream.write_all(first).await.is_err() {
            return taken;
        }
        taken += first.len() as u64;
        while let Some(again) = &over_and_over {
            let block = if pause.is_some() { 1 } else { again.len() };
            for bytes in again.chunks(block) {
                if stream.write_all(bytes).await.is_err() {
                    return taken;
                }
                taken += bytes.len() as u64;
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    // A peer in another process would not keep ours from its turn.
                    None => tokio::task::yield_now().await,
                }
            }
        }
        until_closed(&mut stream).await;
        taken
    }
}

/// Reads and drops until the other end closes.
pub(super) async fn until_closed<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut dropped = [0; 4096];
    while matches!(stream.read(&mut dropped).await, Ok(count) if count > 0) {}
}
