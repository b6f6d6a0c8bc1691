//! Files of a guest, streamed: no file is ever whole in the host's memory.

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};
use pando_guest_protocol::frame::{CHUNK_BYTES, Kind};
use pando_guest_protocol::session::{Entry, Operation, Written};
use pando_types::limits::MAX_FILE_BYTES;

use super::client::{Guest, GuestError, reply, unexpected, within};
use super::exec::{STALL, next_frame, write_data, write_end};
use super::frames::Frames;

/// A file's bytes as they come.
pub type FileStream = BoxStream<'static, Result<Bytes, GuestError>>;

impl Guest {
    /// A file's entry and its bytes.
    ///
    /// # Errors
    /// [`GuestError::Failed`] when it is missing or a directory; the stream yields later errors.
    pub async fn read_file(&self, path: &str) -> Result<(Entry, FileStream), GuestError> {
        let operation = Operation::ReadFile { path: path.to_owned() };
        let (mut reader, writer) = self.open(operation).await?.into_split();
        let mut frames = Frames::in_pieces(self.account(), CHUNK_BYTES);
        let entry = reply(&next_frame(&mut frames, &mut reader).await?)?;
        // The writing half travels along: dropping it would end the session.
        let state = Some((frames, reader, (writer, self.clone()), 0u64));
        let bytes = stream::unfold(state, |state| async {
            let (mut frames, mut reader, writer, sent) = state?;
            match next_frame(&mut frames, &mut reader).await {
                Ok(frame) if frame.kind == Kind::End => None,
                Ok(frame) if frame.kind == Kind::Data => {
                    let sent = sent + frame.payload.len() as u64;
                    if sent > MAX_FILE_BYTES {
                        let limit_bytes = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
                        return Some((Err(GuestError::TooLarge { limit_bytes }), None));
                    }
                    let state = Some((frames, reader, writer, sent));
                    Some((Ok(Bytes::from(frame.payload)), state))
                }
                Ok(frame) => Some((Err(unexpected(&frame)), None)),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok((entry, bytes.boxed()))
    }

    /// Replaces a file's bytes (parents are made); `mode` is for a file made new.
    /// The old content stays until the new one is whole.
    ///
    /// # Errors
    /// [`GuestError::Body`] when `body` breaks off; any other [`GuestError`].
    pub async fn write_file<S, E>(
        &self,
        path: &str,
        mode: u32,
        mut body: S,
    ) -> Result<Written, GuestError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let operation = Operation::WriteFile { path: path.to_owned(), mode };
        let (mut reader, mut writer) = self.open(operation).await?.into_split();
        let send = async {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(|error| GuestError::Body(error.into()))?;
                write_data(&mut writer, &bytes).await?;
            }
            write_end(&mut writer).await
        };
        // Read from the start: an answer before the end is a refusal (no space, say).
        let mut frames = Frames::whole(self.account());
        let answer = pin!(frames.next(&mut reader));
        let answer = match select(answer, pin!(send)).await {
            Either::Left((early, _)) => return reply(&early?),
            Either::Right((sent, answer)) => {
                sent?;
                answer
            }
        };
        within(STALL, answer).await.and_then(|frame| reply(&frame))
    }
}
