//! Values as lines of JSON, in `Data` frames that hold whole lines.

use pando_guest_protocol::frame::{self, CHUNK_BYTES, Kind};
use pando_guest_protocol::session::FailureKind;
use serde::Serialize;
use tokio::io::AsyncWrite;

use super::failure::{Stop, failure};

/// Collects lines until a frame is full.
pub struct JsonLines<'a, W> {
    writer: &'a mut W,
    chunk: Vec<u8>,
}

impl<'a, W: AsyncWrite + Unpin> JsonLines<'a, W> {
    /// Into this connection.
    pub fn new(writer: &'a mut W) -> Self {
        Self { writer, chunk: Vec::new() }
    }

    /// One more line.
    pub async fn push(&mut self, value: &impl Serialize) -> Result<(), Stop> {
        let line = serde_json::to_vec(value)
            .map_err(|error| failure(FailureKind::Other, error.to_string()))?;
        if self.chunk.len() + line.len() + 1 > CHUNK_BYTES {
            self.flush().await?;
        }
        self.chunk.extend_from_slice(&line);
        self.chunk.push(b'\n');
        Ok(())
    }

    /// Sends what is collected.
    pub async fn flush(&mut self) -> Result<(), Stop> {
        if !self.chunk.is_empty() {
            frame::write(self.writer, Kind::Data, &self.chunk).await?;
            self.chunk.clear();
        }
        Ok(())
    }

    /// Sends what is collected, and says that it was all.
    pub async fn end(mut self) -> Result<(), Stop> {
        self.flush().await?;
        Ok(frame::write(self.writer, Kind::End, &[]).await?)
    }
}
