//! The lines that a guest's commands have said.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use pando_guest_protocol::frame;
use pando_guest_protocol::log::{LogLines, LogQuery, MAX_LOG_BYTES};
use pando_guest_protocol::session::Operation;

use super::client::{Guest, GuestError, within};
use super::exec::STALL;
use super::lines;

/// Most bytes of frames of an answer that does not follow: JSON may take six bytes
/// for one of the text, and the agent keeps no more than its limit.
const MAX_ANSWER_BYTES: usize = 8 * MAX_LOG_BYTES;

/// Lines as they come, some at a time.
pub type LogStream = BoxStream<'static, Result<Vec<LogLines>, GuestError>>;

impl Guest {
    /// The lines of `query`. One that follows ends with the sandbox.
    ///
    /// # Errors
    /// Any [`GuestError`]; the stream yields later ones.
    pub async fn logs(&self, query: LogQuery) -> Result<LogStream, GuestError> {
        let follow = query.follow;
        let session = self.open(Operation::Logs(query)).await?;
        // The writing half travels along: dropping it would end the session.
        let state = Some((session, self.clone(), 0usize));
        let lines = stream::unfold(state, move |state| async move {
            let (mut session, guest, came) = state?;
            let next = async { Ok(frame::expect(&mut session).await?) };
            let frame = if follow {
                tokio::select! {
                    frame = next => frame,
                    gone = guest.gone() => Err(gone),
                }
            } else {
                within(STALL, next).await
            };
            let lines = frame.and_then(|frame| Ok((lines::values(&frame)?, frame.payload.len())));
            match lines {
                // What the sandbox had to say is said.
                Ok((None, _)) => None,
                Err(GuestError::Gone) => None,
                Ok((Some(_), bytes)) if !follow && came + bytes > MAX_ANSWER_BYTES => {
                    Some((Err(GuestError::TooLarge { limit_bytes: MAX_ANSWER_BYTES }), None))
                }
                Ok((Some(lines), bytes)) => {
                    let came = if follow { 0 } else { came + bytes };
                    Some((Ok(lines), Some((session, guest, came))))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(lines.boxed())
    }
}
