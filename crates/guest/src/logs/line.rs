//! Lines out of whatever pieces they are written in.

use pando_guest_protocol::log::{MAX_LOG_LINE_BYTES, MAX_LOG_LINES_BYTES};

/// Holds at most one unfinished line. One beyond the limit goes on its way unfinished.
#[derive(Debug, Default)]
pub struct Assembler {
    unfinished: Vec<u8>,
}

impl Assembler {
    /// Takes bytes in; gives the lines that they end, without the last newline.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        // All that commands say comes through here: a loop over bytes would take
        // longer than everything else that is done with them.
        let Some(end) = memchr::memrchr(b'\n', bytes) else {
            self.unfinished.extend_from_slice(bytes);
            return (self.unfinished.len() >= MAX_LOG_LINE_BYTES)
                .then(|| std::mem::take(&mut self.unfinished));
        };
        let (whole, rest) = bytes.split_at(end);
        let mut lines = std::mem::take(&mut self.unfinished);
        lines.extend_from_slice(whole);
        self.unfinished.extend_from_slice(rest.get(1..).unwrap_or_default());
        Some(lines)
    }

    /// The last line, where it did not end.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        (!self.unfinished.is_empty()).then(|| std::mem::take(&mut self.unfinished))
    }
}

/// The lines of a piece; one beyond the limit comes in parts.
pub fn split(piece: &[u8]) -> impl DoubleEndedIterator<Item = String> {
    piece.split(|byte| *byte == b'\n').flat_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // An empty line is a line all the same.
        let empty = line.is_empty().then(String::new);
        let parts = line.chunks(MAX_LOG_LINE_BYTES);
        empty.into_iter().chain(parts.map(|part| String::from_utf8_lossy(part).into_owned()))
    })
}

/// Lines joined by newlines, as many at a time as belong into one message.
pub fn join(lines: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let mut lines = lines.peekable();
    std::iter::from_fn(move || {
        let mut text = lines.next()?;
        while let Some(line) =
            lines.next_if(|line| text.len() + 1 + line.len() <= MAX_LOG_LINES_BYTES)
        {
            text.push('\n');
            text.push_str(&line);
        }
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut assembler, mut lines) = (Assembler::default(), Vec::new());
        for piece in pieces {
            lines.extend(assembler.push(piece).iter().flat_map(|whole| split(whole)));
        }
        lines.extend(assembler.finish().iter().flat_map(|whole| split(whole)));
        lines
    }

    #[test]
    fn newlines_end_lines_and_a_carriage_return_before_one_goes() {
        assert_eq!(lines(&[b"a\r\n\nb", b"c\n", b"d\xff"]), ["a", "", "bc", "d\u{fffd}"]);
        assert_eq!(lines(&[b"\n\n"]), ["", ""]);
        assert!(lines(&[b"", b""]).is_empty());
    }

    #[test]
    fn a_line_without_end_comes_in_parts() {
        let long = vec![b'x'; MAX_LOG_LINE_BYTES * 2 + 5];
        let lengths: Vec<_> = lines(&[&long, b"y\n"]).iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LOG_LINE_BYTES, MAX_LOG_LINE_BYTES, 5, 1]);
        let mut assembler = Assembler::default();
        for _ in 0..100 {
            assembler.push(&[b'x'; 1000]);
            assert!(assembler.unfinished.len() < MAX_LOG_LINE_BYTES);
        }
    }

    #[test]
    fn joined_lines_are_told_apart_again() {
        let lines = ["a", "", "b", ""].map(str::to_owned);
        assert_eq!(join(lines.into_iter()).collect::<Vec<_>>(), ["a\n\nb\n"]);
        let long = "x".repeat(MAX_LOG_LINE_BYTES);
        let joined: Vec<_> = join(vec![long; 5].into_iter()).collect();
        assert!(joined.iter().all(|text| text.len() <= MAX_LOG_LINES_BYTES), "{}", joined.len());
        assert_eq!(joined.iter().map(|text| text.split('\n').count()).sum::<usize>(), 5);
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_makes_no_difference(text in "[ab\n]{0,60}", cut in 1usize..9) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(lines(&pieces), lines(&[text.as_bytes()]));
        }
    }
}
