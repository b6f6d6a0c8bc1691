//! Secrets out of logs: the values of an environment, as they are and in the
//! spellings that tools print them in.

mod search;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use pando_types::limits::MAX_BUILD_LOG_LINE_BYTES;

use self::search::Words;

/// Shorter values (`true`, `3000`) would black out ordinary words.
const MIN_BYTES: usize = 6;
const HIDDEN: &str = "[hidden]";

/// What encoders for URLs leave as it is besides letters and digits, and whether they write a
/// space as `+`.
const URL_ENCODERS: [(&str, bool); 5] = [
    // RFC 3986; Python's `quote(safe='')`.
    ("-._~", false),
    // Python's `quote`.
    ("-._~/", false),
    // JavaScript's `encodeURIComponent`.
    ("-._~!*'()", false),
    // Python's `quote_plus`.
    ("-._~", true),
    // Forms; JavaScript's `URLSearchParams`.
    ("-._*", true),
];

/// What encoders for JSON escape besides what all of them do, and whether all that is not
/// ASCII, too.
const JSON_ENCODERS: [(&str, bool); 5] = [
    // RFC 8259; JavaScript's `JSON.stringify`.
    ("", false),
    // Python's `json.dumps`.
    ("", true),
    // PHP's `json_encode`, without and with `JSON_UNESCAPED_UNICODE`.
    ("/", true),
    ("/", false),
    // Go's `json.Marshal`; Rails' `to_json`.
    ("<>&\u{2028}\u{2029}", false),
];

/// Where tools break lines of base64: `base64` and MIME, then `openssl` and PEM.
const BASE64_COLUMNS: [usize; 2] = [76, 64];

/// Whether the line may be one of base64 that goes on in the next. A rule of dashes is none.
fn is_wrapped(line: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    BASE64_COLUMNS.contains(&line.len())
        && line.bytes().all(is_base64)
        && line.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

/// Of a secret that a cut parts, what is shorter on one side is left there: less would black
/// out ordinary letters at every cut. No secret is so short that both sides are.
const MIN_CUT_BYTES: usize = MIN_BYTES / 2;

/// What is cut out of the middle of a secret is known for it from this length on.
const MIN_MIDDLE_BYTES: usize = 16;

/// What is before a text's beginning, or after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Nothing, or another line.
    Whole,
    /// The rest of the line: it was cut here.
    Cut,
    /// Nobody knows: it may have been.
    Unknown,
}

impl Edge {
    /// How a line ends, and so how the next one begins, in what is wrapped by column.
    pub(crate) fn of_wrapped(line: &str) -> Self {
        if is_wrapped(line) { Self::Cut } else { Self::Whole }
    }

    /// How much of a secret counts as one there.
    fn least_bytes(self) -> Option<usize> {
        match self {
            Self::Whole => None,
            Self::Cut => Some(MIN_CUT_BYTES),
            Self::Unknown => Some(MIN_BYTES),
        }
    }
}

/// What must not be seen.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// In each spelling. Of two that overlap, both go.
    needles: Words,
}

impl Redactor {
    pub(crate) fn new(env: &BTreeMap<String, String>) -> Self {
        Self::of(env.values())
    }

    pub(crate) fn of<'a>(values: impl IntoIterator<Item = &'a String>) -> Self {
        let mut needles = Vec::new();
        for value in values {
            needles.extend([value.as_str(), value.trim()].into_iter().flat_map(base64_lines));
            // A log is read by line, so a value of several shows up in parts; a shell's `echo $X`
            // leaves the blanks around each out.
            let lines = std::iter::once(value.as_str()).chain(value.lines());
            let parts: BTreeSet<&str> = lines.flat_map(|part| [part, part.trim()]).collect();
            for part in parts {
                if part.len() < MIN_BYTES {
                    continue;
                }
                needles.push(part.to_owned());
                needles.extend(JSON_ENCODERS.map(|encoder| json_escaped(part, encoder)));
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    needles.push(engine.encode(part));
                    needles.extend((0..3).map(|before| base64_within(&engine, part, before)));
                }
                for encoder in URL_ENCODERS {
                    needles.extend([true, false].map(|upper| url_encoded(part, encoder, upper)));
                }
            }
        }
        Self { needles: Words::new(needles, MIN_BYTES) }
    }

    /// The text without them.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.clean_part(text, Edge::Whole, Edge::Whole)
    }

    /// The same of a text that may have been cut out of a longer line: what of one is at its
    /// edges goes, too, and all of it where it is the middle of one.
    pub(crate) fn clean_part(&self, text: &str, begins: Edge, ends: Edge) -> String {
        if (begins, ends) != (Edge::Whole, Edge::Whole) && self.is_middle(text) {
            return HIDDEN.to_owned();
        }
        let mut hidden = self.needles.find(text);
        if let Some(least) = begins.least_bytes() {
            // What a cut leaves of a character is U+FFFD.
            let whole = text.trim_start_matches('\u{fffd}');
            let bytes = self.needles.ended_at_start(whole, least);
            hidden.extend((bytes > 0).then(|| 0..text.len() - whole.len() + bytes));
        }
        if let Some(least) = ends.least_bytes() {
            let whole = text.trim_end_matches('\u{fffd}');
            let bytes = self.needles.begun_at_end(whole, least);
            hidden.extend((bytes > 0).then(|| whole.len() - bytes..text.len()));
        }
        hidden.sort_by_key(|range| range.start);
        let (mut cleaned, mut shown_from) = (String::with_capacity(text.len()), 0);
        for range in hidden {
            if range.start >= shown_from {
                cleaned.push_str(&text[shown_from..range.start]);
                cleaned.push_str(HIDDEN);
            }
            shown_from = shown_from.max(range.end);
        }
        cleaned.push_str(&text[shown_from..]);
        cleaned
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

    /// Whether it is part of one, and neither its beginning nor its end need be.
    fn is_middle(&self, text: &str) -> bool {
        let whole = text.trim_matches('\u{fffd}');
        whole.len() >= MIN_MIDDLE_BYTES && self.needles.any_longer_holds(whole)
    }

    /// How much memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.needles.bytes()
    }

    /// The length of the longest: a cut through text may part one no longer than this.
    pub(crate) fn longest(&self) -> usize {
        self.needles.longest()
    }
}

fn json_escaped(text: &str, (also, ascii): (&str, bool)) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let mut escaped = String::with_capacity(quoted.len());
    for char in quoted[1..quoted.len() - 1].chars() {
        if char == '/' && also.contains(char) {
            escaped.push_str("\\/");
        } else if also.contains(char) || (ascii && char > '~') {
            for unit in char.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(char);
        }
    }
    escaped
}

fn url_encoded(text: &str, (kept, plus): (&str, bool), upper: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let char = char::from(byte);
        if char.is_ascii_alphanumeric() || kept.contains(char) {
            encoded.push(char);
        } else if plus && char == ' ' {
            encoded.push('+');
        } else if upper {
            encoded.push_str(&format!("%{byte:02X}"));
        } else {
            encoded.push_str(&format!("%{byte:02x}"));
        }
    }
    encoded
}

/// What base64 of a longer text shows of this one, which stands `before` bytes (modulo 3) into
/// it: the characters, of six bits each, that hold no bit of a neighbour.
fn base64_within(engine: &GeneralPurpose, text: &str, before: usize) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(text.as_bytes());
    let encoded = engine.encode(&bytes);
    encoded[(before * 8).div_ceil(6)..bytes.len() * 8 / 6].to_owned()
}

/// The lines of base64 of the value, where it is broken into several. With and without the last
/// character, which is another one when a newline follows the value (`echo`, not `printf`).
fn base64_lines(value: &str) -> Vec<String> {
    let encoded = [STANDARD_NO_PAD.encode(value), base64_within(&STANDARD_NO_PAD, value, 0)];
    let mut lines = Vec::new();
    for (encoded, columns) in encoded.iter().flat_map(|it| BASE64_COLUMNS.map(|at| (it, at))) {
        if encoded.len() > columns {
            let parts = encoded.as_bytes().chunks(columns);
            lines.extend(parts.map(|line| String::from_utf8_lossy(line).into_owned()));
        }
    }
    lines
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
    fn a_value_is_hidden_in_json_of_any_encoder() {
        let redactor = redactor(&["Z\u{fc}rich/<b>&\"co\"-\u{1f600}"]);
        for shown in [
            // JSON.stringify, json.dumps, json_encode twice, json.Marshal
            "Z\u{fc}rich/<b>&\\\"co\\\"-\u{1f600}",
            r#"Z\u00fcrich/<b>&\"co\"-\ud83d\ude00"#,
            r#"Z\u00fcrich\/<b>&\"co\"-\ud83d\ude00"#,
            "Z\u{fc}rich\\/<b>&\\\"co\\\"-\u{1f600}",
            "Z\u{fc}rich/\\u003cb\\u003e\\u0026\\\"co\\\"-\u{1f600}",
        ] {
            let cleaned = redactor.clean(&format!("{{\"a\":\"{shown}\"}}"));
            assert_eq!(cleaned, "{\"a\":\"[hidden]\"}");
        }
    }

    #[test]
    fn a_value_is_hidden_without_the_blanks_around_it() {
        let lines = "  first line\n  second line\n";
        let redactor = redactor(&["\n s3cr3t-word\t\n\n", lines, " true "]);
        for shown in ["s3cr3t-word", "czNjcjN0LXdvcmQ", "first line", "second line"] {
            assert_eq!(redactor.clean(&format!("={shown}=")), "=[hidden]=");
        }
        assert_eq!(redactor.clean("=true="), "=true=");
    }

    #[test]
    fn a_value_of_several_lines_is_hidden_line_by_line() {
        let redactor = redactor(&["-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----"]);
        assert_eq!(redactor.clean("abcdefgh"), "[hidden]");
    }

    #[test]
    fn a_value_is_hidden_in_urls_of_any_encoder() {
        let redactor = redactor(&["Zq/hunter two!'+=Wx&9"]);
        for shown in [
            // encodeURIComponent, quote, quote(safe=''), quote_plus, URLSearchParams
            "Zq%2Fhunter%20two!'%2B%3DWx%269",
            "Zq/hunter%20two%21%27%2B%3DWx%269",
            "Zq%2Fhunter%20two%21%27%2B%3DWx%269",
            "Zq%2Fhunter+two%21%27%2B%3DWx%269",
        ] {
            assert_eq!(redactor.clean(&format!("?a={shown}&b")), "?a=[hidden]&b");
            let lower = shown.replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d");
            assert_eq!(redactor.clean(&format!("?a={lower}&b")), "?a=[hidden]&b");
        }
    }

    #[test]
    fn a_value_is_hidden_as_forms_spell_it() {
        let redactor = redactor(&["~*() !-._"]);
        assert_eq!(redactor.clean("?a=%7E*%28%29+%21-._&b"), "?a=[hidden]&b");
    }

    #[test]
    fn a_value_is_hidden_in_base64_of_a_longer_text() {
        for secret in ["Zq/hunter two!'+=Wx&9", "Zq??>>~~hunter\u{ff}?>", "s3cr3t"] {
            let redactor = redactor(&[secret]);
            for (before, after) in [("", "xyz"), ("u:", ""), ("usr:", "\n"), ("user:", "")] {
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let shown = engine.encode(format!("{before}{secret}{after}"));
                    let cleaned = redactor.clean(&shown);
                    let (head, tail) = cleaned.split_once(HIDDEN).unwrap();
                    // A character of each end is partly a neighbour's.
                    assert!(head.len() <= (before.len() * 8).div_ceil(6), "{cleaned}");
                    assert!(tail.len() <= (after.len() * 8).div_ceil(6) + 1, "{cleaned}");
                }
            }
        }
    }

    #[test]
    fn a_value_is_hidden_in_base64_of_several_lines() {
        let body = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/";
        let key = format!("-----BEGIN KEY-----\n{body}\n{body}\n-----END KEY-----");
        let redactor = redactor(&[&key]);
        for columns in BASE64_COLUMNS {
            for said in [key.clone(), key.clone() + "\n"] {
                for line in STANDARD_NO_PAD.encode(&said).as_bytes().chunks(columns) {
                    let cleaned = redactor.clean(&String::from_utf8_lossy(line));
                    let tail = cleaned.strip_prefix(HIDDEN).unwrap();
                    assert!(tail.len() <= 2, "{cleaned}");
                }
            }
        }
    }

    #[test]
    fn a_short_value_is_hidden_in_no_spelling() {
        for text in ["true", "dHJ1ZQ", "3000", "MzAwMA"] {
            assert_eq!(redactor(&["true", "3000", ""]).clean(text), text);
        }
    }

    #[test]
    fn a_value_that_a_cut_parts_is_hidden_on_both_sides() {
        let redactor = redactor(&["s3cr3t-wört", "plain-password"]);
        let (cut, whole, unknown) = (Edge::Cut, Edge::Whole, Edge::Unknown);
        assert_eq!(redactor.clean_part("a s3cr3t-w\u{fffd}", whole, cut), "a [hidden]");
        assert_eq!(redactor.clean_part("\u{fffd}rt b", cut, whole), "\u{fffd}rt b");
        assert_eq!(redactor.clean_part("-wört b", cut, whole), "[hidden] b");
        assert_eq!(redactor.clean_part("rd plain-password pl", cut, cut), "rd [hidden] pl");
        // Where nobody knows, it is another word more often than not.
        assert_eq!(redactor.clean_part("word up", unknown, whole), "word up");
        assert_eq!(redactor.clean_part("password up", unknown, whole), "[hidden] up");
    }

    #[test]
    fn the_middle_of_a_value_is_hidden_where_cuts_part_it() {
        let redactor = redactor(&["0123456789abcdefghijklmnopqrstuvwxyz+/"]);
        let (cut, whole) = (Edge::Cut, Edge::Whole);
        for (begins, ends) in [(cut, cut), (cut, whole), (whole, cut)] {
            assert_eq!(redactor.clean_part("abcdefghijklmnop", begins, ends), HIDDEN);
            // What is shorter may be another word.
            assert_eq!(redactor.clean_part("abcdefghijklmno", begins, ends), "abcdefghijklmno");
        }
        assert_eq!(redactor.clean_part("abcdefghijklmnop", whole, whole), "abcdefghijklmnop");
        assert_eq!(redactor.clean_part("abcdefghijklmnop!", cut, whole), "abcdefghijklmnop!");
    }

    #[test]
    fn lines_of_base64_are_cut_where_they_are_wrapped() {
        for columns in BASE64_COLUMNS {
            assert!(is_wrapped(&"aZ09+/-_aZ09".repeat(9)[..columns]));
            assert!(!is_wrapped(&"aZ09+/-_aZ09".repeat(9)[..columns - 1]));
            assert!(!is_wrapped(&format!("{}=", "a".repeat(columns - 1))), "it ends here");
            assert!(!is_wrapped(&"-".repeat(columns)));
        }
        assert_eq!(Edge::of_wrapped(&"a".repeat(76)), Edge::Cut);
        assert_eq!(Edge::of_wrapped("a"), Edge::Whole);
    }

    #[test]
    fn of_two_values_that_overlap_nothing_is_left() {
        assert_eq!(redactor(&["abcdef", "defghijkl"]).clean("-abcdefghijkl-"), "-[hidden]-");
    }

    proptest! {
        #[test]
        fn no_value_survives(value in "[a-zA-Z0-9$'\"\\\\ %]{6,30}", before in "[a-z ]{0,9}", after in "[a-z ]{0,9}") {
            let cleaned = redactor(&[&value]).clean(&format!("{before}{value}{after}"));
            prop_assert!(!cleaned.contains(&value) || HIDDEN.contains(&value));
        }
    }
}
