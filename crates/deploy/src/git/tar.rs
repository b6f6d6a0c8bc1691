//! Tar archives (POSIX ustar) as far as a tree needs them: the entries that git wrote,
//! without the end that it puts after each, and entries of our own.

use bytes::{Buf, Bytes, BytesMut};

pub(super) const BLOCK_BYTES: usize = 512;
/// What ends an archive.
pub(super) const END: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

/// The head of an entry of our own, whose name has at most 100 bytes.
pub(super) fn header(name: &str, kind: Kind, bytes: u64, modified: u64) -> Bytes {
    let mut head = BytesMut::zeroed(BLOCK_BYTES);
    let mut put = |at: usize, text: &[u8]| head[at..at + text.len()].copy_from_slice(text);
    let (mode, letter) = match kind {
        Kind::File => (0o644, b"0"),
        Kind::Folder => (0o755, b"5"),
    };
    put(0, &name.as_bytes()[..name.len().min(100)]);
    put(100, format!("{mode:07o}\0{:07o}\0{:07o}\0", 0, 0).as_bytes());
    put(136, format!("{:011o}\0", modified.min(0o777_7777_7777)).as_bytes());
    put(KIND, letter);
    put(257, b"ustar\x0000root");
    put(297, b"root");
    resized(&head, bytes)
}

/// The same head for another size.
pub(super) fn resized(head: &[u8], bytes: u64) -> Bytes {
    let mut head = BytesMut::from(head);
    head[SIZE].copy_from_slice(format!("{bytes:011o}\0").as_bytes());
    head[CHECKSUM].fill(b' ');
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    head.freeze()
}

/// What fills the last block of so many bytes.
pub(super) fn padding(bytes: u64) -> &'static [u8] {
    let used = (bytes % BLOCK_BYTES as u64) as usize;
    &END[..(BLOCK_BYTES - used) % BLOCK_BYTES]
}

/// A piece of an archive that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// To be passed on as it is.
    Bytes(Bytes),
    /// A file of at most so many bytes as were asked to be seen whole: its head, what is
    /// in it, and both with the padding.
    Small { head: Bytes, content: Bytes, whole: Bytes },
}

/// Reads an archive as it comes.
pub(super) struct Reader {
    buffer: BytesMut,
    /// Of the entry's content and padding, what is still to come.
    left: u64,
    is_over: bool,
    /// Files up to this size are handed out whole.
    small_bytes: u64,
}

impl Reader {
    pub(super) fn new(small_bytes: u64) -> Self {
        Self { buffer: BytesMut::new(), left: 0, is_over: false, small_bytes }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // After its end an archive has only what fills a record.
        if !self.is_over {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next piece; none until more was pushed.
    pub(super) fn next(&mut self) -> Option<Piece> {
        if self.left > 0 && !self.buffer.is_empty() {
            let bytes = self.buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= bytes as u64;
            return Some(Piece::Bytes(self.buffer.split_to(bytes).freeze()));
        }
        let head = self.buffer.get(..BLOCK_BYTES)?;
        if head.iter().all(|byte| *byte == 0) {
            self.is_over = true;
            self.buffer.clear();
            return None;
        }
        let bytes = size(head);
        let padded = bytes.next_multiple_of(BLOCK_BYTES as u64);
        if head[KIND] == b'0' && bytes <= self.small_bytes {
            let (bytes, whole) = (bytes as usize, BLOCK_BYTES + padded as usize);
            if self.buffer.len() < whole {
                return None;
            }
            let whole = self.buffer.split_to(whole).freeze();
            let (head, mut content) = (whole.slice(..BLOCK_BYTES), whole.clone());
            content.advance(BLOCK_BYTES);
            content.truncate(bytes);
            return Some(Piece::Small { head, content, whole });
        }
        self.left = padded;
        Some(Piece::Bytes(self.buffer.split_to(BLOCK_BYTES).freeze()))
    }

    /// Whether the archive came to its end.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// The size in a head. git writes it in octal up to 8 GiB, which is more than it may send.
fn size(head: &[u8]) -> u64 {
    let digits = head[SIZE].iter().take_while(|byte| (b'0'..=b'7').contains(*byte));
    digits.fold(0, |sum, digit| sum * 8 + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn archive(files: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for file in files {
            bytes.extend_from_slice(&header("name", Kind::File, file.len() as u64, 0));
            bytes.extend_from_slice(file);
            bytes.extend_from_slice(padding(file.len() as u64));
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_went_in_without_its_end(
            files in proptest::collection::vec(proptest::collection::vec(0..2_u8, 0..1500), 0..5),
            chunk in 1..2000_usize,
            small in 0..1200_u64,
        ) {
            let entries = archive(&files);
            let whole = [&entries[..], &END, &END].concat();
            let mut reader = Reader::new(small);
            let (mut out, mut seen) = (Vec::new(), Vec::new());
            for chunk in whole.chunks(chunk) {
                reader.push(chunk);
                while let Some(piece) = reader.next() {
                    match piece {
                        Piece::Bytes(bytes) => out.extend_from_slice(&bytes),
                        Piece::Small { content, whole, .. } => {
                            seen.push(content.to_vec());
                            out.extend_from_slice(&whole);
                        }
                    }
                }
            }
            prop_assert!(reader.is_over());
            prop_assert_eq!(out, entries);
            let small: Vec<_> =
                files.into_iter().filter(|file| file.len() as u64 <= small).collect();
            prop_assert_eq!(seen, small);
        }
    }
}
