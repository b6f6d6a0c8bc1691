//! Lines out of whatever pieces they arrive in.

/// What ended with a newline.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its newline; never empty.
    Whole(Vec<u8>),
    /// A line over the limit; its bytes are gone.
    TooLong,
}

/// Holds at most one unfinished line.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    unfinished: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Keeping,
    /// The line was over the limit: the rest of it goes too.
    Dropping,
}

impl Lines {
    /// For lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, unfinished: Vec::new(), state: State::Keeping }
    }

    /// Takes bytes in, gives the lines that they end. Empty ones are left out:
    /// they only end what a former host left unfinished.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.keep(piece);
            if pieces.peek().is_none() {
                break;
            }
            let whole = std::mem::take(&mut self.unfinished);
            match std::mem::replace(&mut self.state, State::Keeping) {
                State::Dropping => lines.push(Line::TooLong),
                State::Keeping if whole.is_empty() => {}
                State::Keeping => lines.push(Line::Whole(whole)),
            }
        }
        lines
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.state == State::Keeping && self.unfinished.len() + piece.len() > self.limit {
            self.unfinished = Vec::new();
            self.state = State::Dropping;
        }
        if self.state == State::Keeping {
            self.unfinished.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn pieces_and_empty_lines() {
        let mut lines = Lines::new(100);
        assert_eq!(lines.push(b"half"), []);
        assert_eq!(lines.push(b"\n{\"a\":1}\n\n\nre"), [whole("half"), whole("{\"a\":1}")]);
        assert_eq!(lines.push(b"st\n"), [whole("rest")]);
    }

    #[test]
    fn a_long_line_goes_and_the_next_stays() {
        let mut lines = Lines::new(4);
        assert_eq!(lines.push(b"1234\n12345"), [whole("1234")]);
        assert_eq!(lines.push(&[b'x'; 1000]), []);
        assert!(lines.unfinished.is_empty());
        assert_eq!(lines.push(b"\nok\n"), [Line::TooLong, whole("ok")]);
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_makes_no_difference(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(b'b')], 0..200),
            cut in 1usize..20,
        ) {
            let at_once = Lines::new(8).push(&bytes);
            let mut lines = Lines::new(8);
            let in_pieces: Vec<_> = bytes.chunks(cut).flat_map(|piece| lines.push(piece)).collect();
            prop_assert_eq!(at_once, in_pieces);
            prop_assert!(lines.unfinished.len() <= 8);
        }
    }
}
