//! Finding any of many words in a text, in one pass over it: a log may be long, and an
//! environment has thousands of spellings.

use std::collections::HashMap;
use std::ops::Range;

/// The bytes that words are looked up by; none is shorter.
const HEAD_BYTES: usize = 4;
/// What a word takes beside its bytes, at most: in the list, and where it is looked up.
const EACH_WORD_BYTES: usize = 128;
/// Bits of the filter that most places of a text are dismissed by.
const FILTER_BITS: usize = 1 << 16;

/// Words, longest first.
#[derive(Clone, Default)]
pub(super) struct Words {
    words: Vec<String>,
    /// Which of them begin so, longest first.
    by_head: HashMap<u32, Vec<usize>>,
    /// Whether any may begin so; empty where there is none.
    filter: Vec<u64>,
}

impl Words {
    /// Of these, all that are of `least_bytes` or more, which is no less than four.
    pub(super) fn new(mut words: Vec<String>, least_bytes: usize) -> Self {
        words.retain(|word| word.len() >= least_bytes.max(HEAD_BYTES));
        words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        words.dedup();
        let mut by_head = HashMap::<u32, Vec<usize>>::new();
        let mut filter = vec![0; if words.is_empty() { 0 } else { FILTER_BITS / 64 }];
        for (index, word) in words.iter().enumerate() {
            let Some(head) = head(word.as_bytes()) else { continue };
            by_head.entry(head).or_default().push(index);
            let (at, bit) = place(head);
            filter[at] |= bit;
        }
        Self { words, by_head, filter }
    }

    /// The length of the longest.
    pub(super) fn longest(&self) -> usize {
        self.words.first().map_or(0, String::len)
    }

    /// How much memory they take, about.
    pub(super) fn bytes(&self) -> usize {
        let words = self.words.iter().map(|word| word.len() + EACH_WORD_BYTES).sum::<usize>();
        words + self.filter.len() * 8
    }

    /// What of the text belongs to any word, in order; what overlaps is one.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.filter.is_empty() {
            return found;
        }
        for at in 0..text.len() {
            let rest = &text.as_bytes()[at..];
            let Some(head) = head(rest) else { break };
            let (place, bit) = place(head);
            if self.filter[place] & bit == 0 {
                continue;
            }
            let Some(length) = self.longest_at(head, rest) else { continue };
            let end = at + length;
            match found.last_mut() {
                Some(last) if last.end > at => last.end = last.end.max(end),
                _ => found.push(at..end),
            }
        }
        found
    }

    fn longest_at(&self, head: u32, rest: &[u8]) -> Option<usize> {
        let mut words = self.by_head.get(&head)?.iter().map(|index| self.words[*index].as_bytes());
        words.find(|word| rest.starts_with(word)).map(<[u8]>::len)
    }

    /// How many bytes at the text's end are how a longer word begins; 0 where they are fewer
    /// than `least`.
    pub(super) fn begun_at_end(&self, text: &str, least: usize) -> usize {
        let last = text.as_bytes().last();
        self.cut(least, text.len(), |word, bytes| {
            // Most are dismissed by one byte.
            word.as_bytes().get(bytes - 1) == last
                && word.get(..bytes).is_some_and(|part| text.ends_with(part))
        })
    }

    /// How many bytes at the text's beginning are how a longer word ends, likewise.
    pub(super) fn ended_at_start(&self, text: &str, least: usize) -> usize {
        let first = text.as_bytes().first();
        self.cut(least, text.len(), |word, bytes| {
            word.as_bytes().get(word.len() - bytes) == first
                && word.get(word.len() - bytes..).is_some_and(|part| text.starts_with(part))
        })
    }

    /// Whether the text stands in any word that is longer.
    pub(super) fn any_longer_holds(&self, text: &str) -> bool {
        let mut longer = self.words.iter().take_while(|word| word.len() > text.len());
        longer.any(|word| word.contains(text))
    }

    /// The most bytes of which `is_cut` holds for any word that is longer. It is asked
    /// of one or more.
    fn cut(&self, least: usize, most: usize, is_cut: impl Fn(&str, usize) -> bool) -> usize {
        let mut best = 0;
        for word in &self.words {
            let lengths = least.max(best + 1)..=most.min(word.len() - 1);
            best = lengths.rev().find(|bytes| is_cut(word, *bytes)).unwrap_or(best);
        }
        best
    }
}

fn head(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<HEAD_BYTES>().map(|head| u32::from_le_bytes(*head))
}

/// Where the filter has a head: Fibonacci hashing to 16 bits.
fn place(head: u32) -> (usize, u64) {
    let hash = (head.wrapping_mul(0x9E37_79B9) >> 16) as usize;
    (hash / 64, 1 << (hash % 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(words: &[&str]) -> Words {
        Words::new(words.iter().map(|word| (*word).to_owned()).collect(), 4)
    }

    #[test]
    fn what_overlaps_is_found_as_one() {
        let words = words(&["abcdef", "defghijk", "cdef", "äöüß"]);
        assert_eq!(words.find("-abcdefghijk-abcdef"), [1..12, 13..19]);
        assert_eq!(words.find("abcdefabcdef"), [0..6, 6..12]);
        assert_eq!(words.find("xäöüß-abcdef"), [1..9, 10..16]);
        assert!(words.find("abc").is_empty() && Words::default().find("abcdef").is_empty());
    }

    #[test]
    fn a_word_that_a_cut_parts_is_found_on_both_sides() {
        let words = words(&["abcdef", "efgh", "äöüß"]);
        assert_eq!((words.begun_at_end("-abcde", 3), words.ended_at_start("def-", 3)), (5, 3));
        assert_eq!((words.begun_at_end("-ab", 3), words.ended_at_start("ef-", 3)), (0, 0));
        assert_eq!((words.begun_at_end("-ef", 1), words.ended_at_start("h", 1)), (2, 1));
        assert_eq!((words.begun_at_end("äö", 3), words.ended_at_start("üß", 3)), (4, 4));
        assert_eq!(words.begun_at_end("abcdef", 3), 0, "a whole one is not cut");
    }

    #[test]
    fn what_stands_in_a_longer_word_is_found() {
        let words = words(&["abcdef", "xyz1"]);
        assert!(["bcde", "abcd", "cdef", "yz"].iter().all(|text| words.any_longer_holds(text)));
        assert!(!["abcdef", "bcd1", "xyz12"].iter().any(|text| words.any_longer_holds(text)));
    }

    proptest! {
        #[test]
        fn no_word_is_missed(words in proptest::collection::vec("[ab]{4,7}", 0..6), text in "[abc]{0,40}") {
            let found = Words::new(words.clone(), 4).find(&text);
            let covers = |at: usize| found.iter().any(|range| range.contains(&at));
            for word in &words {
                for at in 0..text.len() {
                    if text[at..].starts_with(word.as_str()) {
                        prop_assert!((at..at + word.len()).all(covers), "{word} at {at}");
                    }
                }
            }
            for range in found {
                prop_assert!(words.iter().any(|word| text[range.clone()].contains(word.as_str())));
            }
        }
    }
}
