//! Code sessions of a guest.

use std::collections::BTreeMap;
use std::time::Duration;

use pando_guest_protocol::frame::{self, Frame, Kind};
use pando_guest_protocol::repl::{
    Cell, CellDone, MAX_REPLS, MAX_RESULT_BYTES, MAX_RESULTS, OpenRepl, Repl, Repls,
};
use pando_guest_protocol::session::{Done, Operation};

use super::client::{Guest, GuestError, reply, unexpected, within};
use super::exec::write_data;
use super::lines;

/// How long an interpreter may take to come up: the agent gives it a minute.
const OPEN_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a session may take to close or be listed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer than its own time limit a cell may stay silent: to be
/// interrupted, to be killed, and to say so.
const GRACE: Duration = Duration::from_secs(30);

/// One result: its representations by mime type.
pub type Bundle = BTreeMap<String, String>;

/// What a cell said and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// Its results, in order.
    pub results: Vec<Bundle>,
    /// How it ended.
    pub done: CellDone,
    /// Whether anything was left out because it was too much.
    pub truncated: bool,
}

impl Guest {
    /// Starts a session; it takes cells when this returns.
    ///
    /// # Errors
    /// [`GuestError::Failed`] when its interpreter is not there; any other [`GuestError`].
    pub async fn open_repl(&self, open: OpenRepl) -> Result<Repl, GuestError> {
        self.ask(Operation::OpenRepl(open), OPEN_TIMEOUT).await
    }

    /// The sessions there are.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn repls(&self) -> Result<Vec<Repl>, GuestError> {
        let list: Repls = self.ask(Operation::ListRepls, ANSWER_TIMEOUT).await?;
        Ok(list.repls.into_iter().take(MAX_REPLS).collect())
    }

    /// Ends a session and what it runs.
    ///
    /// # Errors
    /// [`GuestError::Failed`] when there is none; any other [`GuestError`].
    pub async fn close_repl(&self, id: &str) -> Result<(), GuestError> {
        let operation = Operation::CloseRepl { id: id.to_owned() };
        self.ask::<Done>(operation, ANSWER_TIMEOUT).await.map(drop)
    }

    /// Runs code in a session to its end, keeping at most `limit_bytes` of each
    /// output. Dropped before, it interrupts the code.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn run_cell(
        &self,
        id: &str,
        code: &str,
        limit: Duration,
        limit_bytes: usize,
    ) -> Result<Ran, GuestError> {
        let timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        let work = async {
            let cell = Cell { id: id.to_owned(), timeout_ms };
            let mut session = self.open(Operation::RunCell(cell)).await?;
            write_data(&mut session, code.as_bytes()).await?;
            frame::write(&mut session, Kind::End, &[]).await?;
            let mut heard = Heard { limit_bytes, ..Heard::default() };
            loop {
                if let Some(ran) = heard.take(frame::expect(&mut session).await?)? {
                    return Ok(ran);
                }
            }
        };
        tokio::select! {
            ran = within(limit + GRACE, work) => ran,
            gone = self.gone() => Err(gone),
        }
    }
}

/// What of a cell has come.
#[derive(Default)]
struct Heard {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    results: Vec<u8>,
    limit_bytes: usize,
    truncated: bool,
}

impl Heard {
    fn take(&mut self, frame: Frame) -> Result<Option<Ran>, GuestError> {
        let (kept, limit) = match frame.kind {
            Kind::Stdout => (&mut self.stdout, self.limit_bytes),
            Kind::Stderr => (&mut self.stderr, self.limit_bytes),
            // Each result that the agent passes has a newline of its own.
            Kind::Data => (&mut self.results, MAX_RESULT_BYTES + MAX_RESULTS),
            Kind::Reply => return self.end(&frame).map(Some),
            _ => return Err(unexpected(&frame)),
        };
        let room = limit.saturating_sub(kept.len());
        if frame.payload.len() > room {
            if frame.kind == Kind::Data {
                return Err(GuestError::TooLarge { limit_bytes: limit });
            }
            self.truncated = true;
        }
        kept.extend_from_slice(&frame.payload[..frame.payload.len().min(room)]);
        Ok(None)
    }

    fn end(&mut self, frame: &Frame) -> Result<Ran, GuestError> {
        let done: CellDone = reply(frame)?;
        let results: Vec<Bundle> = lines::parse(&self.results)?;
        let truncated = self.truncated || done.truncated || results.len() > MAX_RESULTS;
        Ok(Ran {
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
            results: results.into_iter().take(MAX_RESULTS).collect(),
            truncated,
            done,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frame(kind: Kind, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { kind, payload: payload.into() }
    }

    fn done() -> Frame {
        let done = json!({
            "exit_code": 0, "error": null, "timed_out": false, "session_ended": false,
            "truncated": false, "duration_ms": 1
        });
        frame(Kind::Reply, done.to_string())
    }

    fn heard(limit_bytes: usize) -> Heard {
        Heard { limit_bytes, ..Heard::default() }
    }

    #[test]
    fn a_result_may_come_in_pieces() {
        let mut heard = heard(10);
        for piece in ["{\"text/plain\":", "\"1\"}\n{\"a/b\":\"c", "\"}\n"] {
            assert!(heard.take(frame(Kind::Data, piece)).unwrap().is_none());
        }
        heard.take(frame(Kind::Stdout, "out")).unwrap();
        let ran = heard.take(done()).unwrap().unwrap();
        assert_eq!(ran.results[0]["text/plain"], "1");
        assert_eq!(ran.results[1]["a/b"], "c");
        assert_eq!((ran.stdout.as_slice(), ran.truncated), (&b"out"[..], false));
    }

    #[test]
    fn output_beyond_the_limit_is_dropped_and_endless_results_are_refused() {
        let mut heard = heard(4);
        heard.take(frame(Kind::Stderr, "12345")).unwrap();
        heard.take(frame(Kind::Stderr, "6")).unwrap();
        let ran = heard.take(done()).unwrap().unwrap();
        assert_eq!((ran.stderr.as_slice(), ran.truncated), (&b"1234"[..], true));

        let mut heard = self::heard(4);
        let piece = vec![b'x'; 256 * 1024];
        let refused = (0..100).find_map(|_| heard.take(frame(Kind::Data, piece.clone())).err());
        assert!(matches!(refused, Some(GuestError::TooLarge { .. })));
        assert!(heard.results.len() <= MAX_RESULT_BYTES + MAX_RESULTS);
    }

    #[test]
    fn what_is_no_bundle_of_texts_is_no_result() {
        for lie in ["nonsense", "[1]", "{\"a/b\":1}", "{\"a/b\":{}}", "\u{0}"] {
            let mut heard = heard(4);
            heard.take(frame(Kind::Data, lie)).unwrap();
            assert!(matches!(heard.take(done()), Err(GuestError::Frame(_))), "{lie}");
        }
        assert!(heard(4).take(frame(Kind::Reply, "{}")).is_err());
        assert!(heard(4).take(frame(Kind::End, "")).is_err());
    }
}
