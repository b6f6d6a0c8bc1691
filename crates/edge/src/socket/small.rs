//! Small messages in one piece: to copy them costs less than to have the kernel
//! gather them.

use std::io::IoSlice;

/// The most that is copied; enough for a head and a small body.
const SMALL_BYTES: usize = 2048;

/// Gives `write` all of `bufs` in one piece; `None`, without a call, if they are
/// more than is small.
pub(super) fn in_one_piece<T>(bufs: &[IoSlice<'_>], write: impl FnOnce(&[u8]) -> T) -> Option<T> {
    if let [only] = bufs {
        return Some(write(only));
    }
    if bufs.iter().map(|buf| buf.len()).sum::<usize>() > SMALL_BYTES {
        return None;
    }
    let mut room = [0; SMALL_BYTES];
    let mut len = 0;
    for buf in bufs {
        room.get_mut(len..len + buf.len())?.copy_from_slice(buf);
        len += buf.len();
    }
    room.get(..len).map(write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_one_piece() {
        let large = [7; SMALL_BYTES];
        let piece = |parts: &[&[u8]]| {
            let bufs: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            in_one_piece(&bufs, <[u8]>::to_vec)
        };
        assert_eq!(piece(&[b"ab", b"", b"c"]), Some(b"abc".to_vec()));
        assert_eq!(piece(&[&large, b""]), Some(large.to_vec()));
        assert_eq!(piece(&[&[7; 2 * SMALL_BYTES]]), Some(vec![7; 2 * SMALL_BYTES]));
        assert_eq!(piece(&[b"a", &large]), None);
        assert_eq!(piece(&[]), Some(vec![]));
    }
}
