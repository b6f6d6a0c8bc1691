//! Chunked bodies, byte by byte where that tells something. Pure.

/// The place in a chunked body: what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// A size's first digit.
    Begin,
    /// More digits, or what ends them.
    Size(u64),
    /// Whitespace after a size; what it pads is an extension, or nothing.
    Padding(u64),
    /// Anything up to the end of the line.
    Extension(u64),
    /// The LF after a size.
    SizeLf(u64),
    /// So many bytes of data.
    Data(u64),
    DataCr,
    DataLf,
    /// A trailer's first byte, or the CR of the empty line.
    TrailerBegin,
    Trailer,
    TrailerLf,
    LastLf,
}

/// The bytes are no chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

impl Chunks {
    /// What comes when `left` bytes of the data are still to come.
    pub(crate) fn after_data(left: u64) -> Self {
        if left == 0 { Self::DataCr } else { Self::Data(left) }
    }

    /// Whether the next byte belongs to the trailers, the empty line that ends them
    /// included.
    pub(crate) fn is_in_trailers(self) -> bool {
        matches!(self, Self::TrailerBegin | Self::Trailer | Self::TrailerLf | Self::LastLf)
    }

    /// Reads on in what a client sends: how many of `bytes` belong to the body, and
    /// whether it ended there. A size that is padded and then ends is refused (RFC 9112
    /// section 7.1); apps are not held to that, old ones pad theirs.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Broken> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let Self::Data(left) = *self {
                let available = (bytes.len() - at) as u64;
                let taken = left.min(available);
                // No more than `bytes.len()`.
                at += taken as usize;
                *self = Self::after_data(left - taken);
                continue;
            }
            at += 1;
            if matches!(self, Self::Padding(_)) && byte == b'\r' {
                return Err(Broken);
            }
            match self.next(byte)? {
                Some(next) => *self = next,
                None => return Ok((at, true)),
            }
        }
        Ok((at, false))
    }

    /// What follows `byte`, which is none of the data; `None` after the last one.
    pub(crate) fn next(self, byte: u8) -> Result<Option<Self>, Broken> {
        let sized = |size: u64| if size == 0 { Self::TrailerBegin } else { Self::Data(size) };
        Ok(Some(match (self, byte) {
            (Self::Begin, _) => Self::Size(digit(byte).ok_or(Broken)?),
            (Self::Size(size) | Self::Padding(size) | Self::Extension(size), b'\r') => {
                Self::SizeLf(size)
            }
            (Self::Size(size) | Self::Padding(size), b';') => Self::Extension(size),
            (Self::Size(size) | Self::Padding(size), b' ' | b'\t') => Self::Padding(size),
            (Self::Padding(_), _) => return Err(Broken),
            (Self::Size(size), _) => {
                let digit = digit(byte).ok_or(Broken)?;
                Self::Size(
                    size.checked_mul(16).and_then(|size| size.checked_add(digit)).ok_or(Broken)?,
                )
            }
            (Self::Extension(_), b'\n') => return Err(Broken),
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::SizeLf(size), b'\n') => sized(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Begin,
            (Self::TrailerBegin, b'\r') => Self::LastLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::TrailerBegin | Self::Trailer, b'\n') => return Err(Broken),
            (Self::TrailerBegin | Self::Trailer, _) => Self::Trailer,
            (Self::TrailerLf, b'\n') => Self::TrailerBegin,
            (Self::LastLf, b'\n') => return Ok(None),
            (Self::SizeLf(_) | Self::DataCr | Self::DataLf | Self::TrailerLf | Self::LastLf, _) => {
                return Err(Broken);
            }
            (Self::Data(_), _) => return Err(Broken),
        }))
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &str) -> Result<(usize, bool), Broken> {
        Chunks::Begin.read(bytes.as_bytes())
    }

    #[test]
    fn a_body_ends_at_its_empty_line() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A;x=\"y\"\r\n0123456789\r\n0000\r\n\r\n",
            "5 \t;x\r\nhello\r\n0;y \r\n\r\n",
            "0\r\nx-sum: 1\r\ny: 2\r\n\r\n",
        ] {
            let followed = format!("{body}GET ");
            assert_eq!(whole(&followed), Ok((body.len(), true)), "{body:?}");
        }
        assert_eq!(whole("5\r\nhel"), Ok((6, false)));
    }

    #[test]
    fn what_two_readers_could_end_elsewhere_is_broken() {
        for body in [
            "\r\n",
            "5\nhello\n0\n\n",
            "5\r\nhello0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "5\t\r\nhello\r\n0\r\n\r\n",
            "5 5\r\nhello",
            "0 \r\n\r\n",
            "5\r\nhello\n",
            "5\rhello",
            "x\r\n",
            "-1\r\n",
            "0x5\r\n",
            "5;a\nb\r\n",
            "11111111111111111\r\n",
            "0\r\nx: 1\n\r\n",
            "0\r\n\r\r",
        ] {
            assert_eq!(whole(body), Err(Broken), "{body:?}");
        }
    }

    #[test]
    fn an_app_may_pad_its_sizes() {
        let after = |text: &str| {
            text.bytes().try_fold(Chunks::Begin, |at, byte| at.next(byte)?.ok_or(Broken))
        };
        assert_eq!(after("5  \r\n"), Ok(Chunks::Data(5)));
        assert_eq!(after("5  5\r\n"), Err(Broken));
    }

    proptest! {
        #[test]
        fn pieces_read_as_the_whole_does(
            chunks in prop::collection::vec("[ -~\r\n]{1,40}", 0..5), cut in 1usize..9,
        ) {
            let mut body = String::new();
            for chunk in &chunks {
                body.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
            }
            body.push_str("0\r\n\r\n");
            let mut state = Chunks::Begin;
            let mut ended = false;
            for piece in body.as_bytes().chunks(cut) {
                prop_assert!(!ended);
                let (read, end) = state.read(piece).unwrap();
                prop_assert_eq!(read, piece.len());
                ended = end;
            }
            prop_assert!(ended);
        }
    }
}
