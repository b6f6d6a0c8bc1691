//! The lines that a guest's commands and processes have said.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use pando_guest_protocol::log::{
    LogLines, LogQuery, MAX_LOG_BYTES, MAX_LOG_LINE_BYTES, MAX_LOG_NAMES, MAX_PROCESS_LOG_BYTES,
};
use pando_guest_protocol::session::Operation;
use pando_guest_protocol::supervise::is_process_name;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::{ANSWER_TIMEOUT, Guest, GuestError, within};
use super::frames::Frames;
use super::lines;

/// How much more an answer that does not follow may hold than the agent keeps of one process,
/// or of all commands: a byte that is not UTF-8 became three, and a piece may come in parts.
const MOST_OF_KEPT: usize = 4;
/// What a piece is counted for beside its text, as the agent counts it.
const PIECE_OVERHEAD_BYTES: usize = 64;

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
    came: Came,
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
        let (came, waited) = (Came::default(), Duration::ZERO);
        let coming = Coming { session, frames, guest, follow, came, waited, lines };
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
            for some in &lines {
                self.came.note(some, self.follow)?;
            }
            self.lines = lines.into();
        }
    }
}

/// What came of each process, and of commands.
#[derive(Default)]
struct Came {
    bytes: HashMap<Option<String>, usize>,
}

impl Came {
    /// Takes lines in account, which are no more than the agent keeps unless it `follows`.
    fn note(&mut self, lines: &LogLines, follows: bool) -> Result<(), GuestError> {
        let process = lines.process.as_deref();
        if let Some(name) = process.filter(|name| !is_process_name(name)) {
            return Err(GuestError::NoProcess(crate::quote(name)));
        }
        if follows {
            return Ok(());
        }
        let kept = if process.is_some() { MAX_PROCESS_LOG_BYTES } else { MAX_LOG_BYTES };
        let limit_bytes = MOST_OF_KEPT * kept;
        let came = self.bytes.entry(lines.process.clone()).or_default();
        *came += lines.text.len() + PIECE_OVERHEAD_BYTES;
        if *came > limit_bytes {
            return Err(GuestError::TooLarge { limit_bytes });
        }
        if self.bytes.len() > MAX_LOG_NAMES + 1 {
            return Err(GuestError::TooMany { most: MAX_LOG_NAMES });
        }
        Ok(())
    }
}

fn is_too_long(line: &str) -> bool {
    line.len() > MAX_LINE_BYTES
}

#[cfg(test)]
mod tests {
    use pando_guest_protocol::log::Output;

    use super::*;

    fn lines(process: Option<String>, bytes: usize) -> LogLines {
        let text = "y".repeat(bytes);
        LogLines { time_ms: 1, output: Output::Stdout, pid: 1, process, text }
    }

    #[test]
    fn each_process_says_no_more_than_is_kept_of_it() {
        let mut came = Came::default();
        for number in 0..MAX_LOG_NAMES {
            came.note(&lines(Some(format!("p{number}")), MAX_PROCESS_LOG_BYTES), false).unwrap();
        }
        came.note(&lines(None, MAX_LOG_BYTES), false).unwrap();
        let one = || lines(Some("p1".into()), MOST_OF_KEPT * MAX_PROCESS_LOG_BYTES);
        assert!(matches!(came.note(&one(), false), Err(GuestError::TooLarge { .. })));
        let another = lines(Some("more".into()), 1);
        assert!(matches!(came.note(&another, false), Err(GuestError::TooMany { .. })));
        // Who follows has no end.
        assert!(Came::default().note(&one(), true).is_ok());
        let nameless = lines(Some("no.name".into()), 1);
        assert!(matches!(came.note(&nameless, true), Err(GuestError::NoProcess(_))));
    }
}
