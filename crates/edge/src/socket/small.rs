//! Small messages in one piece: to copy a page's worth costs less than to have the
//! kernel gather it.

use std::io::IoSlice;

/// The most that is copied; enough for a head and a small body.
const SMALL_BYTES: usize = 2048;

/// Where it is copied to.
pub(super) const ROOM: [u8; SMALL_BYTES] = [0; SMALL_BYTES];

/// All of `bufs` in one piece; `None` if they are more than is small.
pub(super) fn joined<'a>(
    bufs: &'a [IoSlice<'_>],
    room: &'a mut [u8; SMALL_BYTES],
) -> Option<&'a [u8]> {
    if let [only] = bufs {
        return Some(only);
    }
    let mut len = 0;
    for buf in bufs {
        room.get_mut(len..len + buf.len())?.copy_from_slice(buf);
        len += buf.len();
    }
    room.get(..len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_one_piece() {
        let large = [7; SMALL_BYTES];
        let mut room = ROOM;
        let joined_is = |parts: &[&[u8]], expected: Option<&[u8]>, room: &mut [u8; SMALL_BYTES]| {
            let bufs: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            assert_eq!(joined(&bufs, room), expected);
        };
        joined_is(&[b"ab", b"", b"c"], Some(b"abc"), &mut room);
        joined_is(&[&large], Some(&large), &mut room);
        joined_is(&[b"a", &large], None, &mut room);
        joined_is(&[], Some(b""), &mut room);
    }
}
