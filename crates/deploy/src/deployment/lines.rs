//! Bytes that a command says, to lines that a person reads: redacted, of bounded
//! length, with only what a progress bar showed last.

use super::redact::Redactor;

/// The longest line; what follows goes on in the next.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// One output of one command.
pub(crate) struct Lines {
    redactor: Redactor,
    pending: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self { redactor, pending: Vec::new() }
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
        self.redactor.clean(&readable(&pending))
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
