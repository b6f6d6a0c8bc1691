//! Ranges of versions as npm, Composer, RubyGems, Poetry and PEP 440 write them,
//! and which line of releases to take for one.
//!
//! Every range is a union of half-open intervals, so "is it in" and "what is the
//! newest in it" are comparisons. Pre-releases are read as their release.

/// The longest range that is read.
const MAX_RANGE_BYTES: usize = 512;
/// The largest number in a version: what is larger is no version.
const MAX_PART: u64 = 99_999_999;

type Version = [u64; 3];

/// From the first version to before the second; none for no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval {
    low: Version,
    high: Option<Version>,
}

/// Versions that do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range(Vec<Interval>);

/// What `~1.2` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tilde {
    /// Up to 1.3 (npm, Poetry).
    Npm,
    /// Up to 2 (Composer; it is also what `~>` and `~=` mean everywhere).
    Composer,
}

/// A version as far as it is given: `1.2` or `1.x`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Partial(Vec<u64>);

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches(['v', 'V']);
        let text = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = Vec::new();
        for part in text.split('.') {
            if matches!(part, "x" | "X" | "*") {
                return Some(Self(parts));
            }
            // `3.12rc1`, `3.12b2`
            let digits = part.find(|letter: char| !letter.is_ascii_digit());
            let number = &part[..digits.unwrap_or(part.len())];
            let tail = &part[number.len()..];
            if !tail.is_empty() && !["a", "b", "rc"].iter().any(|pre| tail.starts_with(pre)) {
                return None;
            }
            let number = number.parse::<u64>().ok().filter(|number| *number <= MAX_PART)?;
            if parts.len() < 3 {
                parts.push(number);
            }
        }
        Some(Self(parts))
    }

    fn low(&self) -> Version {
        let part = |at: usize| self.0.get(at).copied().unwrap_or(0);
        [part(0), part(1), part(2)]
    }

    /// The first version after all that begin with its first `parts` parts; none after all.
    fn after(&self, parts: usize) -> Option<Version> {
        let last = parts.min(self.0.len()).checked_sub(1)?;
        let mut version = [0; 3];
        version[..=last].copy_from_slice(&self.0[..=last]);
        version[last] += 1;
        Some(version)
    }

    fn interval(&self) -> Interval {
        Interval { low: self.low(), high: self.after(3) }
    }
}

impl Interval {
    const ALL: Self = Self { low: [0; 3], high: None };

    fn and(self, other: Self) -> Self {
        let high = match (self.high, other.high) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { low: self.low.max(other.low), high }
    }

    fn is_empty(self) -> bool {
        self.high.is_some_and(|high| high <= self.low)
    }

    fn of(operator: &str, version: &Partial, tilde: Tilde) -> Option<Self> {
        let (low, given) = (version.low(), version.0.len());
        let from_low = |high| Self { low, high };
        Some(match operator {
            "" | "=" | "==" | "===" => version.interval(),
            ">=" => from_low(None),
            ">" => match version.after(3) {
                Some(low) => Self { low, high: None },
                None => Self { low: [0; 3], high: Some([0; 3]) },
            },
            "<" => Self { low: [0; 3], high: Some(low) },
            "<=" => Self { low: [0; 3], high: version.after(3) },
            "^" => {
                let first = version.0.iter().position(|part| *part > 0);
                from_low(version.after(first.map_or(given, |first| first + 1)))
            }
            "~" if tilde == Tilde::Npm => from_low(version.after(2)),
            "~" | "~>" | "~=" => from_low(version.after(given.max(2) - 1)),
            // It takes out single versions, and the newest is hardly one of them.
            "!=" => Self::ALL,
            _ => return None,
        })
    }
}

impl Range {
    /// Reads a range; none where it is none.
    pub(super) fn parse(text: &str, tilde: Tilde) -> Option<Self> {
        if text.len() > MAX_RANGE_BYTES {
            return None;
        }
        let mut intervals = Vec::new();
        for either in text.split('|') {
            // `||` leaves an empty piece in its midst.
            if either.trim().is_empty() && text.contains('|') {
                continue;
            }
            let interval = all_of(either, tilde)?;
            if !interval.is_empty() {
                intervals.push(interval);
            }
        }
        (!intervals.is_empty()).then_some(Self(intervals))
    }

    /// All that begin with a version as far as it is given: `20`, `3.12`.
    pub(super) fn prefix(text: &str) -> Option<Self> {
        let version = Partial::parse(text)?;
        (!version.0.is_empty()).then(|| Self(vec![version.interval()]))
    }

    /// Whether some version is in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().any(|one| other.0.iter().any(|other| !one.and(*other).is_empty()))
    }

    /// The newest of the first line that has one in this range, as far as it need be said:
    /// the line itself where its newest is in, else a shorter line or a version.
    pub(super) fn newest_of(&self, lines: &[&str]) -> Option<String> {
        lines.iter().find_map(|line| {
            let releases = Partial::parse(line)?.interval();
            let inside = self.0.iter().map(|interval| interval.and(releases));
            let best = inside.filter(|interval| !interval.is_empty()).max_by_key(|it| it.high)?;
            let high = best.high?;
            if Some(high) == releases.high {
                return Some((*line).to_owned());
            }
            match high {
                [major, minor, 0] => Some(format!("{major}.{}", minor.checked_sub(1)?)),
                [major, minor, patch] => Some(format!("{major}.{minor}.{}", patch - 1)),
            }
        })
    }
}

/// Comparators that hold together, with commas or spaces between.
fn all_of(text: &str, tilde: Tilde) -> Option<Interval> {
    if let Some((low, high)) = text.split_once(" - ") {
        let (low, high) = (Partial::parse(low)?, Partial::parse(high)?);
        return Some(Interval { low: low.low(), high: high.after(3) });
    }
    let mut interval = Interval::ALL;
    let mut rest = text.trim_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let is_sign = |letter: char| "<>=~^!".contains(letter);
        let end = rest.find(|letter| !is_sign(letter)).unwrap_or(rest.len());
        let (operator, after) = (&rest[..end], rest[end..].trim_start());
        let end = after.find([' ', ',', '\t', '<', '>', '=', '~', '^', '!']);
        let (version, after) = after.split_at(end.unwrap_or(after.len()));
        interval = interval.and(Interval::of(operator, &Partial::parse(version)?, tilde)?);
        rest = after.trim_start_matches([' ', ',', '\t']);
    }
    Some(interval)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINES: [&str; 5] = ["26", "24", "22", "20", "18"];

    fn newest(text: &str) -> Option<String> {
        Range::parse(text, Tilde::Npm)?.newest_of(&LINES)
    }

    #[test]
    fn npm_ranges_and_the_line_to_take() {
        for (text, line) in [
            ("*", "26"),
            ("", "26"),
            ("x", "26"),
            (">=18", "26"),
            (">= 18.17.0", "26"),
            (">=18 <21", "20"),
            (">=18.0.0 <23.0.0", "22"),
            ("^20.1", "20"),
            ("~20.5", "20.5"),
            ("18 || 20", "20"),
            ("18||20", "20"),
            ("^18.17.0 || ^20.3.0 || >=21.0.0", "26"),
            ("20.x", "20"),
            ("20.11.1", "20.11.1"),
            ("=20.11.1", "20.11.1"),
            ("v22", "22"),
            (">=20 <20.5", "20.4"),
            (">=20 <=20.5.1", "20.5.1"),
            ("18 - 22", "22"),
            ("18.0.0 - 20.5.1", "20.5.1"),
            (">22", "26"),
            ("<=22", "22"),
            (">=20.0.0-rc.1", "26"),
            ("~20", "20"),
            (">=18,<23", "22"),
        ] {
            assert_eq!(newest(text).as_deref(), Some(line), "{text}");
        }
        for text in ["23", "<18", ">27", ">20 <20", "lts/iron", "node", "^", ">=18 <", "18 & 20"] {
            assert_eq!(newest(text), None, "{text}");
        }
    }

    #[test]
    fn other_dialects() {
        let lines = ["3.13", "3.14", "3.12", "3.11", "3.10", "3.9"];
        let of = |text: &str| Range::parse(text, Tilde::Npm).and_then(|it| it.newest_of(&lines));
        assert_eq!(of(">=3.9,<3.13").as_deref(), Some("3.12"));
        assert_eq!(of(">=3.9").as_deref(), Some("3.13"));
        assert_eq!(of("~=3.10").as_deref(), Some("3.13"));
        assert_eq!(of("~=3.10.2").as_deref(), Some("3.10"));
        assert_eq!(of("==3.11.*").as_deref(), Some("3.11"));
        assert_eq!(of("^3.10,!=3.11.0").as_deref(), Some("3.13"));
        assert_eq!(of("<3.12.4,>=3.12").as_deref(), Some("3.12.3"));
        let php = ["8.4", "8.3", "8.2", "8.1", "7.4"];
        let of = |text: &str| Range::parse(text, Tilde::Composer).and_then(|it| it.newest_of(&php));
        assert_eq!(of("^7.4|^8.0").as_deref(), Some("8.4"));
        assert_eq!(of("~8.1").as_deref(), Some("8.4"));
        assert_eq!(of("~8.1.0").as_deref(), Some("8.1"));
        assert_eq!(of("~> 7.4").as_deref(), Some("7.4"));
    }

    #[test]
    fn what_meets() {
        let range = |text| Range::parse(text, Tilde::Npm).unwrap();
        let prefix = |text| Range::prefix(text).unwrap();
        assert!(range(">=18").meets(&prefix("20")));
        assert!(prefix("20").meets(&prefix("20.11.1")));
        assert!(!range("<18").meets(&prefix("18.2")));
        assert_eq!(Range::prefix("lts"), None);
        assert_eq!(Range::prefix(""), None);
    }

    proptest! {
        #[test]
        fn any_range_ends_in_an_answer(text in any::<String>()) {
            let _ = Range::parse(&text, Tilde::Npm);
        }

        #[test]
        fn what_is_taken_is_in_the_range(text in "([<>=~^]{0,2}[0-9x.]{1,8}[ ,|]{1,2}){1,4}") {
            if let Some(range) = Range::parse(&text, Tilde::Composer)
                && let Some(version) = range.newest_of(&LINES)
            {
                prop_assert!(Range::prefix(&version).unwrap().meets(&range), "{} of {}", version, text);
            }
        }
    }
}
