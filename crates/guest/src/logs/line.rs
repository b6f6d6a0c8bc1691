//! Lines out of whatever pieces they are written in.

use pando_guest_protocol::log::MAX_LOG_LINE_BYTES;

/// Holds at most one unfinished line. One beyond the limit comes out in pieces.
#[derive(Debug, Default)]
pub struct Assembler {
    unfinished: Vec<u8>,
}

impl Assembler {
    /// Takes bytes in, and hands on the lines that they end.
    pub fn push(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let mut text = text;
            while self.unfinished.len() + text.len() > MAX_LOG_LINE_BYTES {
                let (fits, rest) = text.split_at(MAX_LOG_LINE_BYTES - self.unfinished.len());
                self.unfinished.extend_from_slice(fits);
                line(self.take());
                text = rest;
            }
            self.unfinished.extend_from_slice(text);
            if ends {
                line(self.take());
            }
        }
    }

    /// The last line, where it did not end.
    pub fn finish(&mut self) -> Option<String> {
        (!self.unfinished.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.unfinished);
        let line = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        String::from_utf8_lossy(line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut assembler, mut lines) = (Assembler::default(), Vec::new());
        for piece in pieces {
            assembler.push(piece, |line| lines.push(line));
        }
        lines.extend(assembler.finish());
        lines
    }

    #[test]
    fn newlines_end_lines_and_a_carriage_return_before_one_goes() {
        assert_eq!(lines(&[b"a\r\n\nb", b"c\n", b"d\xff"]), ["a", "", "bc", "d\u{fffd}"]);
        assert!(lines(&[b"", b""]).is_empty());
    }

    #[test]
    fn a_line_without_end_comes_in_pieces() {
        let long = vec![b'x'; MAX_LOG_LINE_BYTES * 2 + 5];
        let lengths: Vec<_> = lines(&[&long, b"y\n"]).iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LOG_LINE_BYTES, MAX_LOG_LINE_BYTES, 6]);
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_makes_no_difference(text in "[ab\n]{0,60}", cut in 1usize..9) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(lines(&pieces), lines(&[text.as_bytes()]));
        }
    }
}
