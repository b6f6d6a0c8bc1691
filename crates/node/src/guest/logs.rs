//! The lines that a guest's commands and processes have said.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use pando_guest_protocol::log::{
    LogLines, LogQuery, MAX_LOG_BYTES, MAX_LOG_LINE_BYTES, MAX_PROCESS_LOG_BYTES,
};
use pando_guest_protocol::session::Operation;
use pando_guest_protocol::supervise::{MAX_SUPERVISED, is_process_name};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::{ANSWER_TIMEOUT, Guest, GuestError, within};
use super::frames::Frames;
use super::lines;

/// Most bytes of frames of an answer that does not follow: JSON may take six bytes
/// for one of the text, and the agent keeps no more than its limit.
const MAX_ANSWER_BYTES: usize = 8 * (MAX_LOG_BYTES + MAX_SUPERVISED * MAX_PROCESS_LOG_BYTES);

/// How long the guest may be waited for in all, for an answer that does not follow:
/// the agent has it ready. The time that the client takes does not count.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A line whose bytes all became U+FFFD, each of which takes three.
const MAX_LINE_BYTES: usize = 3 * MAX_LOG_LINE_BYTES;

/// Lines as they come, some at a time.
pub type LogStream = BoxStream<'static, Result<LogLines, GuestError>>;

/// Where the lines come from, and those that came and were not taken yet.
struct Coming {
    session: TcpStream,
    frames: Frames,
    guest: Guest,
    follow: bool,
    came_bytes: usize,
    waited: Duration,
    lines: VecDeque<LogLines>,
}

impl Guest {
    /// The lines of `query`. One that follows ends with the sandbox.
    ///
    /// # Errors
    /// Any [`GuestError`]; the stream yields later ones.
    pub async fn logs(&self, query: LogQuery) -> Result<LogStream, GuestError> {
        let follow = query.follow;
        // Both halves of the session travel along: dropping one would end it.
        let session = self.open(Operation::Logs(query)).await?;
        let (frames, guest) = (Frames::whole(self.account()), self.clone());
        let lines = VecDeque::new();
        let (came_bytes, waited) = (0, Duration::ZERO);
        let coming = Coming { session, frames, guest, follow, came_bytes, waited, lines };
        let lines = stream::unfold(Some(coming), async |coming| {
            let mut coming = coming?;
            match coming.next().await {
                Ok(Some(lines)) => Some((Ok(lines), Some(coming))),
                // What the sandbox had to say is said.
                Ok(None) | Err(GuestError::Gone) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(lines.boxed())
    }
}

impl Coming {
    async fn next(&mut self) -> Result<Option<LogLines>, GuestError> {
        loop {
            if let Some(lines) = self.lines.pop_front() {
                return Ok(Some(lines));
            }
            let next = self.frames.next(&mut self.session);
            let frame = if self.follow {
                tokio::select! {
                    frame = next => frame,
                    gone = self.guest.gone() => Err(gone),
                }
            } else if self.waited < ANSWER_LIMIT {
                let begun = Instant::now();
                let frame = within(ANSWER_TIMEOUT, next).await;
                self.waited += begun.elapsed();
                frame
            } else {
                Err(GuestError::Timeout(ANSWER_LIMIT))
            }?;
            let Some(lines) = lines::values::<LogLines>(&frame)? else { return Ok(None) };
            if lines.iter().flat_map(|lines| lines.text.split('\n')).any(is_too_long) {
                return Err(GuestError::TooLarge { limit_bytes: MAX_LINE_BYTES });
            }
            let mut names = lines.iter().filter_map(|lines| lines.process.as_deref());
            if let Some(name) = names.find(|name| !is_process_name(name)) {
                return Err(GuestError::NoProcess(crate::quote(name)));
            }
            if !self.follow {
                self.came_bytes += frame.payload.len();
                if self.came_bytes > MAX_ANSWER_BYTES {
                    return Err(GuestError::TooLarge { limit_bytes: MAX_ANSWER_BYTES });
                }
            }
            self.lines = lines.into();
        }
    }
}

fn is_too_long(line: &str) -> bool {
    line.len() > MAX_LINE_BYTES
}
