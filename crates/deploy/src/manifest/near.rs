//! The word that somebody may have meant.

/// The longest word that is compared: no key is as long.
const MAX_CHARS: usize = 32;
/// The shortest that is taken for the beginning of another.
const MIN_BEGUN_CHARS: usize = 3;

/// The nearest of these words, where one is near: about a third of it may be wrong, or its
/// end may be missing.
pub(super) fn nearest<'a>(
    word: &str,
    among: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let word = spelled(word)?;
    let most = (word.len() / 3).max(1);
    let apart = |other: &'a str| (distance(&word, &spelled(other).unwrap_or_default()), other);
    let near = among.clone().map(apart).filter(|(apart, _)| *apart <= most);
    let begun = |other: &&str| {
        word.len() >= MIN_BEGUN_CHARS
            && spelled(other).is_some_and(|other| other.starts_with(&word))
    };
    among.clone().find(begun).or_else(|| near.min_by_key(|(apart, _)| *apart).map(|(_, word)| word))
}

/// A word as it is compared; none where it is too long.
fn spelled(word: &str) -> Option<Vec<char>> {
    let letters = word.chars().take(MAX_CHARS + 1);
    let spelled: Vec<char> = letters
        .map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() })
        .collect();
    (spelled.len() <= MAX_CHARS).then_some(spelled)
}

/// How many letters are to be put in, left out, replaced, or swapped with the next.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, facing) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != facing);
            let mut least = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            let swapped =
                row > 0 && column > 0 && one[row - 1] == *facing && other[column - 1] == *letter;
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near() {
        let words = ["command", "cron", "memory_mb", "idle_minutes"];
        for (word, meant) in [
            ("comand", Some("command")),
            ("commnad", Some("command")),
            ("Command", Some("command")),
            ("crons", Some("cron")),
            ("corn", Some("cron")),
            ("memory-mb", Some("memory_mb")),
            ("memory", Some("memory_mb")),
            ("idle_minuts", Some("idle_minutes")),
            ("idle", Some("idle_minutes")),
            ("me", None),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words.into_iter()), meant, "{word}");
        }
        assert_eq!(nearest(&"command".repeat(1000), words.into_iter()), None);
    }
}
