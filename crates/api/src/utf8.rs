//! Bytes that arrive in pieces, as text: a character that two pieces share comes
//! out whole, and a byte that belongs to none becomes U+FFFD.

/// The decoder of one stream.
#[derive(Debug, Default)]
pub struct Utf8Pieces {
    /// The start of a character whose rest has not come: at most three bytes.
    carry: Vec<u8>,
}

impl Utf8Pieces {
    /// The text that is certain once `piece` has come; it may be empty.
    pub fn push(&mut self, piece: &[u8]) -> String {
        self.carry.extend_from_slice(piece);
        let mut text = String::with_capacity(self.carry.len());
        let mut rest = self.carry.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    if let Some(bad) = error.error_len() {
                        text.push(char::REPLACEMENT_CHARACTER);
                        rest = &after[bad..];
                        continue;
                    }
                }
            }
            break;
        }
        self.carry = rest.to_vec();
        text
    }

    /// What is left when the stream has ended: U+FFFD for half a character, else nothing.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.carry)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_in_two_pieces_comes_out_whole() {
        let mut pieces = Utf8Pieces::default();
        assert_eq!(pieces.push(b"a\xE2\x82"), "a");
        assert_eq!(pieces.push(b"\xACb"), "€b");
        assert_eq!(pieces.push(b"\xF0\x9F"), "");
        assert_eq!(pieces.finish(), "\u{FFFD}");
    }

    #[test]
    fn a_bad_byte_does_not_hold_back_what_follows() {
        let mut pieces = Utf8Pieces::default();
        assert_eq!(pieces.push(b"\xFFok\xC3(\xE2\x82"), "\u{FFFD}ok\u{FFFD}(");
        assert_eq!(pieces.push(b"x"), "\u{FFFD}x");
    }

    proptest! {
        #[test]
        fn cutting_changes_nothing(bytes in any::<Vec<u8>>(), size in 1_usize..8) {
            let mut pieces = Utf8Pieces::default();
            let mut text = String::new();
            for piece in bytes.chunks(size) {
                text.push_str(&pieces.push(piece));
                prop_assert!(pieces.carry.len() <= 3);
            }
            text.push_str(&pieces.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
