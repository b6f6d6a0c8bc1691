//! One cell as its session sees it: what its interpreter's lines mean, and when it
//! has had enough time. It touches nothing but the clock and the signals.

use std::time::Duration;

use pando_guest_protocol::repl::{CellDone, MAX_ERROR_BYTES, MAX_RESULT_BYTES, MAX_RESULTS};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::session::Said;
use crate::lines::Line;
use crate::process::{Child, Exit};

/// How long an interrupted cell may take to end before its interpreter is killed.
pub const INTERRUPT_GRACE: Duration = Duration::from_secs(3);

/// One line of the interpreter's end.
#[derive(Debug, Deserialize)]
struct Message<'a> {
    seq: u64,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    done: Option<Done>,
    #[serde(default)]
    ready: bool,
}

#[derive(Debug, Deserialize)]
pub struct Done {
    #[serde(default)]
    exit: i32,
    #[serde(default)]
    error: Option<String>,
}

/// Whether a session outlasts its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    GoesOn,
    Ended,
}

/// Whether a line says that the interpreter takes cells.
pub fn is_ready(line: &[u8]) -> bool {
    serde_json::from_slice::<Message<'_>>(line).is_ok_and(|said| said.ready)
}

/// What ended a cell.
#[derive(Debug)]
pub enum End {
    Cell(Done),
    Interpreter(Exit),
}

/// How far a cell has come towards its end by force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Until(Instant),
    /// Interrupted; its interpreter is killed at this time.
    Interrupted(Instant),
    Killed,
}

/// What a line of the interpreter's means to a cell.
#[derive(Debug)]
pub enum Taken {
    Result(Vec<u8>),
    Done(Done),
    Nothing,
}

#[derive(Debug)]
pub struct Cell {
    seq: u64,
    /// Where it stands.
    pub clock: Clock,
    deadline: Instant,
    timed_out: bool,
    results: usize,
    result_bytes: usize,
    truncated: bool,
}

impl Cell {
    pub fn new(seq: u64, deadline: Instant) -> Self {
        Self {
            seq,
            clock: Clock::Until(deadline),
            deadline,
            timed_out: false,
            results: 0,
            result_bytes: 0,
            truncated: false,
        }
    }

    /// Waits for its time to be up, or its host to leave.
    pub async fn strike(&self, said: &mpsc::Sender<Said>) {
        match self.clock {
            Clock::Until(time) => tokio::select! {
                () = sleep_until(time) => {}
                () = said.closed() => {}
            },
            Clock::Interrupted(time) => sleep_until(time).await,
            Clock::Killed => std::future::pending().await,
        }
    }

    pub fn advance(&mut self, child: &Child) {
        let now = Instant::now();
        self.clock = match self.clock {
            Clock::Until(_) => {
                self.timed_out = now >= self.deadline;
                child.signal(Signal::INT);
                Clock::Interrupted(now + INTERRUPT_GRACE)
            }
            Clock::Interrupted(_) => {
                child.kill();
                Clock::Killed
            }
            Clock::Killed => Clock::Killed,
        };
    }

    /// What a line means. One of an earlier cell, or one that makes no sense, means nothing.
    pub fn take(&mut self, line: &Line) -> Taken {
        let Line::Whole(line) = line else {
            self.truncated = true;
            return Taken::Nothing;
        };
        let Ok(message) = serde_json::from_slice::<Message<'_>>(line) else {
            return Taken::Nothing;
        };
        if message.seq != self.seq {
            return Taken::Nothing;
        }
        if let Some(done) = message.done {
            return Taken::Done(done);
        }
        let Some(result) = message.result.map(|value| value.get().as_bytes()) else {
            return Taken::Nothing;
        };
        if self.results >= MAX_RESULTS || self.result_bytes + result.len() > MAX_RESULT_BYTES {
            self.truncated = true;
            return Taken::Nothing;
        }
        self.results += 1;
        self.result_bytes += result.len();
        Taken::Result(result.to_vec())
    }

    pub fn done(self, end: End, duration_ms: u64) -> (CellDone, After) {
        let (exit_code, error, after) = match end {
            End::Cell(done) => {
                let error = done.error.map(|text| cut(text, MAX_ERROR_BYTES));
                (done.exit, error, After::GoesOn)
            }
            End::Interpreter(exit) => {
                let code = exit.code();
                let how = match (self.clock, exit) {
                    (Clock::Killed, _) => "it did not stop when it was interrupted, so".to_owned(),
                    (_, Exit::Code(code)) => format!("its interpreter exited with {code}, so"),
                    (_, Exit::Signal(signal)) => {
                        format!("signal {signal} ended its interpreter, so")
                    }
                };
                (
                    code,
                    Some(format!("{how} the session has ended and its state is gone")),
                    After::Ended,
                )
            }
        };
        let done = CellDone {
            exit_code,
            error,
            timed_out: self.timed_out,
            session_ended: after == After::Ended,
            truncated: self.truncated,
            duration_ms,
        };
        (done, after)
    }
}

/// The beginning of `text`, whole characters only.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(cell: &mut Cell, line: &str) -> Taken {
        cell.take(&Line::Whole(line.as_bytes().to_vec()))
    }

    #[test]
    fn lines_of_another_cell_and_nonsense_mean_nothing() {
        let mut cell = Cell::new(3, Instant::now());
        for line in [
            "",
            "nonsense",
            "{}",
            r#"{"seq":2,"done":{"exit":0}}"#,
            r#"{"seq":4,"done":{"exit":0}}"#,
            r#"{"seq":3}"#,
            r#"{"seq":3,"done":7}"#,
            r#"{"seq":"3","done":{}}"#,
            "\u{0}",
        ] {
            assert!(matches!(take(&mut cell, line), Taken::Nothing), "{line}");
        }
        assert!(matches!(take(&mut cell, r#"{"seq":3,"done":{}}"#), Taken::Done(_)));
    }

    #[test]
    fn results_are_counted_and_weighed() {
        let mut cell = Cell::new(1, Instant::now());
        let result = r#"{"seq":1,"result":{"text/plain":"x"}}"#;
        for _ in 0..MAX_RESULTS {
            assert!(matches!(take(&mut cell, result), Taken::Result(_)));
        }
        assert!(matches!(take(&mut cell, result), Taken::Nothing));
        assert!(cell.truncated);

        let mut cell = Cell::new(1, Instant::now());
        let half = "x".repeat(MAX_RESULT_BYTES / 2);
        let large = format!(r#"{{"seq":1,"result":{{"text/plain":"{half}"}}}}"#);
        assert!(matches!(take(&mut cell, &large), Taken::Result(_)));
        assert!(matches!(take(&mut cell, &large), Taken::Nothing));
        assert!(cell.truncated);
        let mut cell = Cell::new(1, Instant::now());
        assert!(matches!(cell.take(&Line::TooLong), Taken::Nothing));
        assert!(cell.truncated);
    }

    #[test]
    fn long_errors_are_cut_at_a_character() {
        assert_eq!(cut("aé".into(), 3), "aé");
        assert_eq!(cut("aéb".into(), 2), "a…");
    }
}
