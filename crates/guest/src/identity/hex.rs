//! Hexadecimal digits of a known number of bytes.

/// The bytes that `text` spells; `None` unless it is exactly `2 * LENGTH` hex digits.
pub fn decode<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * LENGTH {
        return None;
    }
    let mut bytes = [0; LENGTH];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    // At most 15, so the cast loses nothing.
    char::from(character).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn exact_length_and_digits_only() {
        assert_eq!(decode("00ffA5"), Some([0x00, 0xff, 0xa5]));
        assert_eq!(decode::<3>("00ffa"), None);
        assert_eq!(decode::<3>("00ffa5a5"), None);
        assert_eq!(decode::<1>("+1"), None);
        assert_eq!(decode::<2>("é00"), None);
    }
}
