//! How a run ended, and the end of what it said: as much as its row keeps.

use std::time::Duration;

use pando_guest_protocol::session::ExecDone;
use pando_store::RunEnd;
use pando_types::limits::MAX_SCHEDULE_OUTPUT_BYTES;

use crate::guest::GuestError;

/// The end of a run whose command was begun: as the agent told it, or why it did not.
#[must_use]
pub fn run_end(ended: Result<ExecDone, String>, timeout: Duration, output: Tail) -> RunEnd {
    let (exit_code, error) = match ended {
        Ok(done) if done.timed_out => {
            let secs = timeout.as_secs();
            let error = format!("it ran for {secs} s, so it and all it started were killed");
            (None, Some(error))
        }
        Ok(done) => (Some(done.exit_code), None),
        Err(error) => (None, Some(error)),
    };
    RunEnd { exit_code, error, output: output.text() }
}

/// Why a command did not end, as far as its agent let that be known.
#[must_use]
pub fn broke_off(error: &GuestError) -> String {
    crate::quote(&error.to_string())
}

/// The end of what was said.
#[derive(Debug, Default)]
pub struct Tail(Vec<u8>);

impl Tail {
    /// Adds what was said next.
    pub fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(MAX_SCHEDULE_OUTPUT_BYTES)..];
        self.0.extend_from_slice(kept);
        let over = self.0.len().saturating_sub(MAX_SCHEDULE_OUTPUT_BYTES);
        self.0.drain(..over);
    }

    /// As text that a column takes, no longer than the bytes may be.
    #[must_use]
    pub fn text(self) -> String {
        // Not every database takes a NUL, and what is no UTF-8 becomes longer.
        let mut text = String::from_utf8_lossy(&self.0).replace('\0', " ");
        let over = text.len().saturating_sub(MAX_SCHEDULE_OUTPUT_BYTES);
        text.drain(..text.ceil_char_boundary(over));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_was_said_is_kept() {
        let mut tail = Tail::default();
        tail.push(b"one\0two");
        assert_eq!(Tail(tail.0.clone()).text(), "one two");
        tail.push(&vec![b'a'; 3 * MAX_SCHEDULE_OUTPUT_BYTES]);
        tail.push("\u{fc}end".as_bytes());
        let text = tail.text();
        assert_eq!(text.len(), MAX_SCHEDULE_OUTPUT_BYTES);
        assert!(text.starts_with("aaa") && text.ends_with("a\u{fc}end"));
    }

    #[test]
    fn what_is_no_text_is_not_longer() {
        let mut tail = Tail::default();
        tail.push(&vec![0xff; 2 * MAX_SCHEDULE_OUTPUT_BYTES]);
        let text = tail.text();
        assert!(text.len() <= MAX_SCHEDULE_OUTPUT_BYTES && text.len() > 4000);
        assert!(text.chars().all(|c| c == char::REPLACEMENT_CHARACTER));
    }
}
