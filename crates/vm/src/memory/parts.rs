//! Parts of a memory: ranges of its bytes, in order, that do not touch.

use std::ops::Range;

/// Puts parts together that are no further apart than that.
fn close_gaps(parts: &[Range<u64>], gap_bytes: u64) -> Vec<Range<u64>> {
    let mut closed: Vec<Range<u64>> = Vec::new();
    for part in parts {
        match closed.last_mut() {
            Some(last) if part.start.saturating_sub(last.end) <= gap_bytes => {
                last.end = last.end.max(part.end);
            }
            _ => closed.push(part.clone()),
        }
    }
    closed
}

/// As few parts as `most`, and no gaps of up to `gap_bytes`.
pub(super) fn few(parts: &[Range<u64>], gap_bytes: u64, most: usize) -> Vec<Range<u64>> {
    let mut gap_bytes = gap_bytes;
    let mut fewer = close_gaps(parts, gap_bytes);
    while fewer.len() > most {
        gap_bytes = gap_bytes.saturating_mul(2).max(1);
        fewer = close_gaps(&fewer, gap_bytes);
    }
    fewer
}

/// What is in one or the other.
pub(super) fn join(one: &[Range<u64>], other: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut all = [one, other].concat();
    all.sort_by_key(|part| part.start);
    close_gaps(&all, 0)
}

/// What comes from where, after these parts of `file` were laid over it.
pub(super) fn lay_over(
    below: &[(Range<u64>, usize)],
    parts: &[Range<u64>],
    file: usize,
) -> Vec<(Range<u64>, usize)> {
    let mut all: Vec<_> = parts.iter().map(|part| (part.clone(), file)).collect();
    let mut parts = parts.iter().peekable();
    for (range, origin) in below {
        let mut at = range.start;
        while at < range.end {
            while parts.next_if(|part| part.end <= at).is_some() {}
            let over = parts.peek().map_or(range.end..range.end, |part| (*part).clone());
            if at < over.start {
                all.push((at..over.start.min(range.end), *origin));
            }
            at = over.end.min(range.end);
        }
    }
    all.sort_by_key(|(range, _)| range.start);
    all
}

/// How long all of them are, in bytes.
pub(super) fn bytes(parts: &[Range<u64>]) -> u64 {
    parts.iter().map(|part| part.end - part.start).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_closed_until_there_are_few() {
        let parts = [0..1, 2..3, 10..11, 100..101];
        assert_eq!(few(&parts, 0, 9), parts);
        assert_eq!(few(&parts, 1, 9), [0..3, 10..11, 100..101]);
        assert_eq!(few(&parts, 0, 2), [0..11, 100..101]);
        assert_eq!(few(&parts, 0, 1), [0..101]);
        assert_eq!(bytes(&parts), 4);
    }

    #[test]
    fn what_is_over_hides_what_is_below() {
        let below = [(0..10, 0), (10..14, 1), (14..30, 0)];
        let over = lay_over(&below, &[2..3, 8..20, 29..30], 2);
        assert_eq!(over, [(0..2, 0), (2..3, 2), (3..8, 0), (8..20, 2), (20..29, 0), (29..30, 2)]);
        assert_eq!(lay_over(&below, &[], 2), below);
        assert_eq!(lay_over(&below, &[0..30], 2), [(0..30, 2)]);
    }

    #[test]
    fn both_are_in_what_was_joined() {
        assert_eq!(join(&[0..4, 8..9], &[2..6, 9..10, 20..21]), [0..6, 8..10, 20..21]);
        assert_eq!(join(&[0..9], &[2..3]), [0..9]);
    }
}
