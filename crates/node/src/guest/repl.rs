//! Code sessions of a guest.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use pando_guest_protocol::frame::{self, Frame, FrameError, Kind};
use pando_guest_protocol::repl::{
    Cell, CellDone, MAX_ERROR_BYTES, MAX_REPLS, MAX_RESULT_BYTES, MAX_RESULTS, OpenRepl, Repl,
    Repls,
};
use pando_guest_protocol::session::{Done, Operation};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::client::{ANSWER_TIMEOUT, Guest, GuestError, reply, unexpected, within};
use super::exec::{keep, write_data};
use super::frames::{Frames, PIECE_BYTES};
use crate::held::{Account, Held};

/// How long an interpreter may take to come up: the agent gives it a minute, ends it
/// then and says so.
const OPEN_TIMEOUT: Duration = Duration::from_secs(70);
/// How much longer than its own time limit a cell may stay silent: to be
/// interrupted, to be killed, and to say so.
const GRACE: Duration = Duration::from_secs(30);

/// What a cell said and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Standard output, up to the limit.
    pub stdout: Held<Vec<u8>>,
    /// Standard error, up to the limit.
    pub stderr: Held<Vec<u8>>,
    /// Its results, in order: one line each, an object of texts by mime type as JSON
    /// without spaces.
    pub results: Held<Vec<u8>>,
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
    pub async fn open_repl(&self, open: OpenRepl) -> Result<Held<Repl>, GuestError> {
        self.ask(Operation::OpenRepl(open), OPEN_TIMEOUT).await
    }

    /// The sessions there are.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn repls(&self) -> Result<Held<Vec<Repl>>, GuestError> {
        let list = self.ask::<Repls>(Operation::ListRepls, ANSWER_TIMEOUT).await?;
        Ok(list.map(|list| list.repls.into_iter().take(MAX_REPLS).collect()))
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
            let mut heard = Heard::nothing(self.account(), limit_bytes);
            let mut frames = Frames::in_pieces(self.account(), PIECE_BYTES);
            loop {
                let frame = frames.next(&mut session).await?;
                if frame.kind == Kind::Reply {
                    return heard.end(&frame);
                }
                heard.take(&frame)?;
            }
        };
        tokio::select! {
            ran = within(limit + GRACE, work) => ran,
            gone = self.gone() => Err(gone),
        }
    }
}

/// What of a cell has come.
struct Heard {
    stdout: Held<Vec<u8>>,
    stderr: Held<Vec<u8>>,
    results: Held<Vec<u8>>,
    limit_bytes: usize,
    truncated: bool,
}

impl Heard {
    fn nothing(account: &Account, limit_bytes: usize) -> Self {
        let nothing = || Held::nothing(account);
        let (stdout, stderr, results) = (nothing(), nothing(), nothing());
        Self { stdout, stderr, results, limit_bytes, truncated: false }
    }

    fn take(&mut self, frame: &Frame) -> Result<(), GuestError> {
        let bytes = &frame.payload;
        match frame.kind {
            Kind::Stdout => self.truncated |= keep(&mut self.stdout, bytes, self.limit_bytes)?,
            Kind::Stderr => self.truncated |= keep(&mut self.stderr, bytes, self.limit_bytes)?,
            Kind::Data => {
                // Each result that the agent passes has a newline of its own.
                let limit_bytes = MAX_RESULT_BYTES + MAX_RESULTS;
                if keep(&mut self.results, bytes, limit_bytes)? {
                    return Err(GuestError::TooLarge { limit_bytes });
                }
            }
            _ => return Err(unexpected(frame)),
        }
        Ok(())
    }

    fn end(self, frame: &Frame) -> Result<Ran, GuestError> {
        let mut done: CellDone = reply(frame)?;
        if let Some(error) = &mut done.error {
            error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
        }
        let mut left_out = false;
        let results = self.results.try_map(|lines| {
            let (results, more) = results(lines)?;
            left_out = more;
            Ok::<_, GuestError>(results)
        })?;
        let truncated = self.truncated || done.truncated || left_out;
        Ok(Ran { stdout: self.stdout, stderr: self.stderr, results, done, truncated })
    }
}

/// The first results of `lines`, in place, a newline between each two and no spaces; and
/// whether there are more. All must be what results are.
fn results(mut lines: Vec<u8>) -> Result<(Vec<u8>, bool), GuestError> {
    let (mut count, mut kept, mut start) = (0, 0, 0);
    while start < lines.len() {
        let length = lines[start..].iter().position(|byte| *byte == b'\n');
        let end = length.map_or(lines.len(), |length| start + length);
        if end > start {
            serde_json::from_slice::<Texts>(&lines[start..end]).map_err(FrameError::from)?;
            count += 1;
            if count <= MAX_RESULTS {
                if kept > 0 {
                    lines[kept] = b'\n';
                    kept += 1;
                }
                kept += without_spaces(&mut lines, start..end, kept);
            }
        }
        start = end + 1;
    }
    lines.truncate(kept);
    Ok((lines, count > MAX_RESULTS))
}

/// Moves JSON to an earlier place and leaves out the spaces between its words; returns
/// how long it is there.
fn without_spaces(bytes: &mut [u8], json: Range<usize>, place: usize) -> usize {
    let (mut length, mut in_text, mut is_escaped) = (0, false, false);
    for at in json {
        let byte = bytes[at];
        if !in_text && byte.is_ascii_whitespace() {
            continue;
        }
        bytes[place + length] = byte;
        length += 1;
        in_text ^= byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
    }
    length
}

/// An object of texts, looked at and not kept: a map of them may take twenty times as much.
struct Texts;

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;

        impl<'de> Visitor<'de> for Look {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                while map.next_entry::<Text, Text>()?.is_some() {}
                Ok(Texts)
            }
        }

        deserializer.deserialize_map(Look)
    }
}

/// A text, looked at and not kept.
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;

        impl Visitor<'_> for Look {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, _: &str) -> Result<Text, E> {
                Ok(Text)
            }
        }

        deserializer.deserialize_str(Look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held::Budget;
    use serde_json::json;

    fn frame(kind: Kind, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { kind, payload: payload.into() }
    }

    fn done(error: Option<&str>) -> Frame {
        let done = json!({
            "exit_code": 0, "error": error, "timed_out": false, "session_ended": false,
            "truncated": false, "duration_ms": 1
        });
        frame(Kind::Reply, done.to_string())
    }

    fn heard(limit_bytes: usize) -> Heard {
        Heard::nothing(&Budget::new(1 << 30).account(None), limit_bytes)
    }

    #[test]
    fn a_result_may_come_in_pieces() {
        let mut heard = heard(10);
        for piece in ["\n{\"text/plain\": ", "\"1\" }\n\n {\"a/b\":\"c d", "\\\" \\\\\" }\n"] {
            heard.take(&frame(Kind::Data, piece)).unwrap();
        }
        heard.take(&frame(Kind::Stdout, "out")).unwrap();
        let ran = heard.end(&done(None)).unwrap();
        let want = b"{\"text/plain\":\"1\"}\n{\"a/b\":\"c d\\\" \\\\\"}";
        assert_eq!(*ran.results, want);
        assert_eq!((ran.stdout.as_slice(), ran.truncated), (&b"out"[..], false));
    }

    #[test]
    fn results_beyond_the_most_are_left_out_and_a_long_error_is_cut() {
        let mut heard = heard(10);
        heard.take(&frame(Kind::Data, "{}\n".repeat(MAX_RESULTS + 1))).unwrap();
        let error = "€".repeat(MAX_ERROR_BYTES);
        let ran = heard.end(&done(Some(&error))).unwrap();
        assert_eq!(ran.results.split(|byte| *byte == b'\n').count(), MAX_RESULTS);
        assert!(ran.truncated);
        assert_eq!(ran.done.error.unwrap().len(), MAX_ERROR_BYTES / 3 * 3);
    }

    #[test]
    fn output_beyond_the_limit_is_dropped_and_endless_results_are_refused() {
        let mut heard = heard(4);
        heard.take(&frame(Kind::Stderr, "12345")).unwrap();
        heard.take(&frame(Kind::Stderr, "6")).unwrap();
        let ran = heard.end(&done(None)).unwrap();
        assert_eq!((ran.stderr.as_slice(), ran.truncated), (&b"1234"[..], true));

        let mut heard = self::heard(4);
        let piece = frame(Kind::Data, vec![b'x'; 256 * 1024]);
        let refused = (0..100).find_map(|_| heard.take(&piece).err());
        assert!(matches!(refused, Some(GuestError::TooLarge { .. })));
        assert!(heard.results.len() <= MAX_RESULT_BYTES + MAX_RESULTS);
    }

    #[test]
    fn what_finds_no_room_is_refused_and_gives_back_what_it_had() {
        let budget = Budget::new(1 << 20);
        let mut heard = Heard::nothing(&budget.account(None), 1 << 20);
        let piece = frame(Kind::Data, vec![b'x'; 1 << 16]);
        let refused = (0..16).find_map(|_| heard.take(&piece).err());
        assert!(matches!(refused, Some(GuestError::NoRoom(_))), "{refused:?}");
        drop(heard);
        assert_eq!(budget.taken_bytes(), 0);
    }

    #[test]
    fn what_is_no_bundle_of_texts_is_no_result() {
        for lie in ["nonsense", "[1]", "{\"a/b\":1}", "{\"a/b\":{}}", "\u{0}", "{}{}"] {
            let mut heard = heard(4);
            heard.take(&frame(Kind::Data, lie)).unwrap();
            assert!(matches!(heard.end(&done(None)), Err(GuestError::Frame(_))), "{lie}");
        }
        assert!(heard(4).end(&frame(Kind::Reply, "{}")).is_err());
        assert!(heard(4).take(&frame(Kind::End, "")).is_err());
    }
}
