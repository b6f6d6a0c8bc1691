//! Bytes that a command says, to lines that a person reads: redacted, of bounded
//! length, with only what a progress bar showed last.

use super::redact::{Edge, Redactor};

/// The longest line; what follows goes on in the next.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// One output of one command.
pub(crate) struct Lines {
    redactor: Redactor,
    pending: Vec<u8>,
    /// What the next line begins with: more of the last one, where that was wrapped.
    begins: Edge,
}

impl Lines {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self { redactor, pending: Vec::new(), begins: Edge::Whole }
    }

    /// The lines that these bytes complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(piece);
            if self.pending.ends_with(b"\n") {
                lines.push(self.take());
            } else if self.pending.len() > MAX_LINE_BYTES + 2 * self.redactor.longest() {
                lines.push(self.cut());
            }
        }
        lines
    }

    /// What is left at the end.
    pub(crate) fn finish(&mut self) -> Option<String> {
        (!self.pending.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let pending = std::mem::take(&mut self.pending);
        let line = readable(&pending);
        let ends = Edge::of_wrapped(&line);
        let begins = std::mem::replace(&mut self.begins, ends);
        self.redactor.clean_part(&line, begins, ends)
    }

    /// The beginning of a line without end. What is kept back is cleaned already,
    /// and long enough to hold whatever the cut would part.
    fn cut(&mut self) -> String {
        let cleaned = self.take();
        let mut at = cleaned.len().saturating_sub(self.redactor.longest());
        while !cleaned.is_char_boundary(at) {
            at -= 1;
        }
        let (line, rest) = cleaned.split_at(at);
        self.pending = rest.as_bytes().to_vec();
        line.to_owned()
    }
}

/// Text without what moves a cursor: of a line that was written over, the last
/// version; no NUL, which no database takes as text.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.trim_end_matches(['\n', '\r']);
    let line = line.rsplit('\r').next().unwrap_or_default();
    line.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn lines(secret: &str) -> Lines {
        Lines::new(Redactor::new(&BTreeMap::from([("S".to_owned(), secret.to_owned())])))
    }

    #[test]
    fn bytes_become_lines() {
        let mut lines = lines("");
        assert_eq!(lines.push(b"one\ntw"), ["one"]);
        assert_eq!(lines.push(b"o\r\n10%\r20%\r30%\n\n\xff\0"), ["two", "30%", ""]);
        assert_eq!(lines.finish().as_deref(), Some("\u{fffd}\u{fffd}"));
        assert_eq!(lines.finish(), None);
    }

    /// Whether any few letters in a row of the secret are in what this is base64 of.
    fn shows(base64: &str, secret: &str) -> bool {
        let base64 = base64.trim_end_matches('=');
        (0..base64.len().min(4)).any(|skipped| {
            let rest = &base64[skipped..];
            let decoded = STANDARD_NO_PAD.decode(&rest[..rest.len() - rest.len() % 4]).unwrap();
            let text = String::from_utf8_lossy(&decoded).into_owned();
            (6..=secret.len()).any(|end| text.contains(&secret[end - 6..end]))
        })
    }

    #[test]
    fn a_secret_in_wrapped_base64_is_hidden_wherever_lines_break() {
        let letters = "Zq7-hunter2_Wx9.tR4kLm8sVb3nJp6cYd1fGh5aQeUoTiX0zS-KwBvNyMjC";
        assert_eq!(letters.len(), 60);
        let long = format!("{letters}/{}", letters.to_lowercase().repeat(3));
        let secrets = [letters.to_owned(), long];
        let prefixes = "x-access-token:".repeat(6);
        for (secret, columns) in secrets.iter().flat_map(|it| [(it, 76), (it, 64)]) {
            for before in 0..=90 {
                let prefix = &prefixes[..before];
                let base64 = STANDARD.encode(format!("{prefix}{secret}\n"));
                let wrapped: Vec<&[u8]> = base64.as_bytes().chunks(columns).collect();
                let mut lines = lines(secret);
                let mut seen = lines.push(&wrapped.join(&b'\n'));
                seen.extend(lines.finish());
                assert_eq!(seen.len(), wrapped.len());
                let shown = seen.concat();

                let within = (before * 8).div_ceil(6)..(before + secret.len()) * 8 / 6;
                for part in base64.as_bytes()[within].windows(12) {
                    let part = String::from_utf8_lossy(part);
                    assert!(!shown.contains(&*part), "{before} {columns}: {part} of {seen:?}");
                }
                let leaks = shown.split("[hidden]").any(|part| shows(part, secret));
                assert!(!leaks, "{before} {columns}: {seen:?}");
            }
        }
    }

    #[test]
    fn only_what_follows_a_wrapped_line_goes_on_with_it() {
        let wrapped = "a".repeat(64);
        let mut lines = lines("s3cr3t-word");
        let said = format!("{}\nword\n{wrapped}\r\nword\nword\n", "-".repeat(64));
        let seen = lines.push(said.as_bytes());
        assert_eq!(seen[1..], ["word", wrapped.as_str(), "[hidden]", "word"]);
    }

    proptest! {
        #[test]
        fn a_secret_is_hidden_however_the_bytes_come(
            at in 0..40_000usize, chunk in 1..9000usize, secret in "[a-z]{12}"
        ) {
            let mut said = vec![b'-'; 40_000];
            said.splice(at..at, secret.bytes());
            let mut lines = lines(&secret);
            let mut seen: Vec<String> = said.chunks(chunk).flat_map(|part| lines.push(part)).collect();
            seen.extend(lines.finish());
            let whole = seen.concat();
            prop_assert!(!whole.contains(&secret), "hidden across cuts");
            prop_assert!(whole.contains("[hidden]"));
            prop_assert!(seen.iter().all(|line| line.len() <= MAX_LINE_BYTES + 4 * 9000));
            prop_assert_eq!(whole.replace("[hidden]", "").len(), 40_000);
        }
    }
}
