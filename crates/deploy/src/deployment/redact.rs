//! Secrets out of logs: the values of an environment, as they are and in the
//! spellings that tools print them in.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use pando_types::limits::MAX_BUILD_LOG_LINE_BYTES;

/// Shorter values (`true`, `3000`) would black out ordinary words.
const MIN_BYTES: usize = 6;
const HIDDEN: &str = "[hidden]";

/// What must not be seen.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// Longest first, so that a value that holds another goes as a whole.
    needles: Vec<String>,
}

impl Redactor {
    pub(crate) fn new(env: &BTreeMap<String, String>) -> Self {
        let mut needles = Vec::new();
        for value in env.values() {
            // A log is read by line, so a value of several shows up in parts.
            for part in std::iter::once(value.as_str()).chain(value.lines()) {
                if part.len() < MIN_BYTES {
                    continue;
                }
                needles.extend([
                    part.to_owned(),
                    STANDARD_NO_PAD.encode(part),
                    URL_SAFE_NO_PAD.encode(part),
                    percent_encoded(part),
                    json_escaped(part),
                ]);
            }
        }
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Self { needles }
    }

    /// The text without them.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = text.replace(needle.as_str(), HIDDEN);
            }
        }
        text
    }

    /// The same of a line that may have been cut where it is as long as lines are: what is at
    /// its end may be the beginning of one.
    pub(crate) fn clean_cut(&self, line: &str) -> String {
        let mut cleaned = self.clean(line);
        if line.len() + 3 >= MAX_BUILD_LOG_LINE_BYTES {
            let mut at = cleaned.len().saturating_sub(self.longest());
            while !cleaned.is_char_boundary(at) {
                at -= 1;
            }
            cleaned.truncate(at);
        }
        cleaned
    }

    /// The length of the longest: a cut through text may part one no longer than this.
    pub(crate) fn longest(&self) -> usize {
        self.needles.first().map_or(0, String::len)
    }
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor(values: &[&str]) -> Redactor {
        let pair = |(at, value): (usize, &&str)| (format!("N{at}"), (*value).to_owned());
        Redactor::new(&values.iter().enumerate().map(pair).collect())
    }

    #[test]
    fn a_value_is_hidden_in_every_spelling() {
        let redactor = redactor(&["p@ss word/1", "true"]);
        for shown in ["p@ss word/1", "cEBzcyB3b3JkLzE", "p%40ss%20word%2F1"] {
            assert_eq!(redactor.clean(&format!("x {shown} true")), "x [hidden] true");
        }
    }

    #[test]
    fn a_value_of_several_lines_is_hidden_line_by_line() {
        let redactor = redactor(&["-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----"]);
        assert_eq!(redactor.clean("abcdefgh"), "[hidden]");
    }

    proptest! {
        #[test]
        fn no_value_survives(value in "[a-zA-Z0-9$'\"\\\\ %]{6,30}", before in "[a-z ]{0,9}", after in "[a-z ]{0,9}") {
            let cleaned = redactor(&[&value]).clean(&format!("{before}{value}{after}"));
            prop_assert!(!cleaned.contains(&value) || HIDDEN.contains(&value));
        }
    }
}
