//! A connection's bytes, taken apart as far as it takes to see every head before
//! it is acted on. Pure.

use super::{Framing, Refusal, examine};
use crate::chunks::Chunks;
use crate::limits::MAX_HEADER_BYTES;

/// Where in its connection the scanner is.
#[derive(Debug, Clone)]
pub(crate) struct Scanner {
    at: At,
    /// How much of an incomplete head was already searched for its end.
    searched: usize,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// In a head, or before one. One empty line may come first: old clients end a
    /// body with it (RFC 9112 section 2.2).
    Head {
        blank: bool,
    },
    Length(u64),
    Chunked(Chunks),
    Switched,
}

/// What was found in some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// How many of them may go on. The rest is the beginning of a head that must
    /// be shown again with what follows it.
    pub passed: usize,
    /// How many heads end among those.
    pub heads: usize,
    /// Why nothing after those may go on.
    pub stop: Option<Stop>,
}

/// What ends a connection's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The next head is refused.
    Refused(Refusal),
    /// The body is not chunked as it should be.
    BrokenBody,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self { at: At::Head { blank: false }, searched: 0 }
    }

    /// Whether the last head asked for another protocol.
    pub(crate) fn is_switched(&self) -> bool {
        matches!(self.at, At::Switched)
    }

    /// Reads on in `bytes`, which begin at the first byte that has not passed.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Scanned {
        let mut found = Scanned { passed: 0, heads: 0, stop: None };
        while let Some(rest) = bytes.get(found.passed..)
            && !rest.is_empty()
        {
            match self.step(rest) {
                Ok(Step { passed: 0, .. }) => break,
                Ok(step) => {
                    found.passed += step.passed;
                    found.heads += usize::from(step.head);
                }
                Err(stop) => {
                    found.stop = Some(stop);
                    break;
                }
            }
        }
        found
    }

    fn step(&mut self, rest: &[u8]) -> Result<Step, Stop> {
        match &mut self.at {
            At::Head { blank } => {
                if !*blank && rest.starts_with(b"\r\n") {
                    *blank = true;
                    self.searched = 0;
                    return Ok(Step { passed: 2, head: false });
                }
                self.head(rest).map_err(Stop::Refused)
            }
            At::Length(left) => {
                // No more than `rest.len()`.
                let passed = (*left).min(rest.len() as u64) as usize;
                *left -= passed as u64;
                if *left == 0 {
                    self.at = At::Head { blank: false };
                }
                Ok(Step { passed, head: false })
            }
            At::Chunked(chunks) => {
                let (passed, ended) = chunks.read(rest).map_err(|_| Stop::BrokenBody)?;
                if ended {
                    self.at = At::Head { blank: false };
                }
                Ok(Step { passed, head: false })
            }
            At::Switched => Ok(Step { passed: rest.len(), head: false }),
        }
    }

    /// Passes the head at the start of `rest` if it is complete and good.
    fn head(&mut self, rest: &[u8]) -> Result<Step, Refusal> {
        let end = end_of_head(rest, self.searched)?;
        if end.unwrap_or(rest.len()) > MAX_HEADER_BYTES {
            let in_request_line =
                memchr::memchr(b'\n', rest).is_none_or(|at| at > MAX_HEADER_BYTES);
            return Err(if in_request_line { Refusal::LongUrl } else { Refusal::TooLarge });
        }
        let Some(head) = end.and_then(|end| rest.get(..end)) else {
            self.searched = rest.len();
            return Ok(Step { passed: 0, head: false });
        };
        self.searched = 0;
        self.at = match examine(head)? {
            Framing::Length(0) => At::Head { blank: false },
            Framing::Length(length) => At::Length(length),
            Framing::Chunked => At::Chunked(Chunks::Begin),
            Framing::Switch => At::Switched,
        };
        Ok(Step { passed: head.len(), head: true })
    }
}

struct Step {
    passed: usize,
    head: bool,
}

/// The length of the head at the start of `bytes`, whose first `searched` bytes
/// hold no end of it; `None` if it is not all there.
fn end_of_head(bytes: &[u8], searched: usize) -> Result<Option<usize>, Refusal> {
    for at in memchr::memchr_iter(b'\n', bytes.get(searched..).unwrap_or_default()) {
        let before = bytes.get(..searched + at).unwrap_or_default();
        match before {
            [.., b'\n', b'\r'] => return Ok(Some(before.len() + 1)),
            [b'\r'] => return Err(Refusal::Malformed("the request begins with empty lines")),
            [.., b'\r'] => {}
            _ => return Err(Refusal::Malformed("a line ends in LF without CR")),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[test]
    fn requests_in_a_row_are_each_seen() {
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nGET";
        let chunked =
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nG\r\n0\r\n\r\n";
        let all = format!("\r\n{GET}{post}\r\n{chunked}{GET}");
        let mut scanner = Scanner::new();
        let found = scanner.scan(all.as_bytes());
        assert_eq!(found, Scanned { passed: all.len(), heads: 4, stop: None });
        assert!(matches!(scanner.at, At::Head { .. }));
    }

    #[test]
    fn nothing_of_a_refused_head_passes() {
        let bad = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n";
        let found = Scanner::new().scan(format!("{GET}{bad}{GET}").as_bytes());
        assert_eq!((found.passed, found.heads), (GET.len(), 1));
        assert!(matches!(found.stop, Some(Stop::Refused(Refusal::Malformed(_)))));
    }

    #[test]
    fn bare_line_feeds_are_refused() {
        for text in [
            "GET / HTTP/1.1\nhost: a\n\n",
            "GET / HTTP/1.1\r\nhost: a\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
            "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ] {
            let stop = Scanner::new().scan(text.as_bytes()).stop;
            assert!(matches!(stop, Some(Stop::Refused(Refusal::Malformed(_)))), "{text:?}");
        }
    }

    #[test]
    fn a_head_that_never_ends_is_refused() {
        let large = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(MAX_HEADER_BYTES));
        let stop = Scanner::new().scan(large.as_bytes()).stop;
        assert_eq!(stop, Some(Stop::Refused(Refusal::TooLarge)));
        let long = format!("GET /{}", "b".repeat(MAX_HEADER_BYTES));
        let stop = Scanner::new().scan(long.as_bytes()).stop;
        assert_eq!(stop, Some(Stop::Refused(Refusal::LongUrl)));
    }

    #[test]
    fn after_a_switch_everything_passes() {
        let text = "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n\n\n\n";
        let mut scanner = Scanner::new();
        let found = scanner.scan(text.as_bytes());
        assert_eq!(found, Scanned { passed: text.len(), heads: 1, stop: None });
        assert!(scanner.is_switched());
    }

    proptest! {
        /// However the bytes are cut, the same of them pass.
        #[test]
        fn pieces_read_as_the_whole_does(
            parts in prop::collection::vec(prop_oneof![
                Just(GET.to_owned()),
                Just("POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nabcd".to_owned()),
                Just("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n".to_owned()),
                Just("\r\n".to_owned()),
                "[ -~\r\n]{0,20}",
            ], 0..6),
            cut in 1usize..30,
        ) {
            let all = parts.concat();
            let whole = Scanner::new().scan(all.as_bytes());
            let (mut scanner, mut held) = (Scanner::new(), Vec::new());
            let mut sum = Scanned { passed: 0, heads: 0, stop: None };
            for piece in all.as_bytes().chunks(cut) {
                held.extend_from_slice(piece);
                let found = scanner.scan(&held);
                held.drain(..found.passed);
                sum.passed += found.passed;
                sum.heads += found.heads;
                sum.stop = found.stop;
                if sum.stop.is_some() {
                    break;
                }
            }
            prop_assert_eq!(sum.heads, whole.heads);
            prop_assert_eq!(sum.stop.is_some(), whole.stop.is_some());
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Scanner::new().scan(&bytes);
        }
    }
}
