//! Hiding secrets in lines that may be parts of longer ones.
//!
//! A guest keeps a line that is longer than [`MAX_LOG_LINE_BYTES`] in parts. One that has no end
//! yet is kept as far as it came, so its last part may be short; and what was kept of its
//! beginning may be gone when the rest is read.

use std::collections::HashMap;

use pando_guest_protocol::log::{LogLines, MAX_LOG_LINE_BYTES, MAX_LOG_NAMES, Output};

use crate::deployment::redact::{Edge, Redactor};

/// Where what each process says on each output was left off.
#[derive(Default)]
pub(super) struct Seams {
    stdout: Ends,
    stderr: Ends,
}

/// What the next line of a process goes on with. Of one that has said nothing here yet, the
/// beginning may be gone.
type Ends = HashMap<Option<String>, Edge>;

impl Seams {
    /// The same lines, without what must not be seen.
    pub(super) fn clean(&mut self, redactor: &Redactor, lines: LogLines) -> LogLines {
        // The agent's own words stand between those of processes. Where they are about no
        // process, they say that lines are gone.
        if lines.pid == 0 {
            if lines.process.is_none() {
                *self = Self::default();
            }
            return LogLines { text: redactor.clean(&lines.text), ..lines };
        }
        let ends = match lines.output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        };
        // However many names a guest makes up.
        if ends.len() > MAX_LOG_NAMES && !ends.contains_key(&lines.process) {
            ends.clear();
        }
        let end = ends.entry(lines.process.clone()).or_insert(Edge::Unknown);
        let (text, left) = clean(redactor, &lines.text, *end);
        *end = left;
        LogLines { text, ..lines }
    }
}

/// Lines that came at once, of which the first goes on with `begins`; and what the next will.
fn clean(redactor: &Redactor, text: &str, begins: Edge) -> (String, Edge) {
    let (mut cleaned, mut rest, mut begins) = (String::new(), text, begins);
    let mut goes_on = false;
    // After each part that is as long as lines are, the text is cut.
    while let Some(end) = end_of_full(rest) {
        cleaned.push_str(&redactor.clean_part(&rest[..end], begins, Edge::Cut));
        (begins, goes_on) = (Edge::Cut, true);
        rest = match rest[end..].strip_prefix('\n') {
            Some(more) => more,
            None => return (cleaned, Edge::Cut),
        };
        cleaned.push('\n');
    }
    let ends = if goes_on && !rest.contains('\n') { Edge::Cut } else { Edge::Whole };
    cleaned.push_str(&redactor.clean_part(rest, begins, ends));
    (cleaned, ends)
}

/// Where the first line ends that is as long as lines are.
fn end_of_full(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split('\n') {
        let end = start + line.len();
        if line.len() >= MAX_LOG_LINE_BYTES {
            return Some(end);
        }
        start = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "s3cr3t-p4ssw0rd";

    fn redactor() -> Redactor {
        Redactor::new(&BTreeMap::from([("S".to_owned(), SECRET.to_owned())]))
    }

    fn said(process: &str, pid: u32, text: &str) -> LogLines {
        let process = Some(process.to_owned());
        LogLines { time_ms: 0, output: Output::Stdout, pid, process, text: text.to_owned() }
    }

    /// What of a long line the agent sends: parts, and as many in one text as it puts there.
    fn parts(line: &str, in_one: usize) -> Vec<String> {
        let parts: Vec<&str> = line
            .as_bytes()
            .chunks(MAX_LOG_LINE_BYTES)
            .map(|part| std::str::from_utf8(part).unwrap())
            .collect();
        parts.chunks(in_one).map(|parts| parts.join("\n")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_cut_shows_no_part_of_a_secret(
            before in MAX_LOG_LINE_BYTES - SECRET.len() - 3..MAX_LOG_LINE_BYTES + 3, in_one in 1..3usize,
        ) {
            let line = "=".repeat(before) + SECRET + "===";
            let (redactor, mut seams) = (redactor(), Seams::default());
            let mut texts = Vec::new();
            for text in parts(&line, in_one) {
                texts.push(seams.clean(&redactor, said("web", 7, &text)).text);
                // Another's lines come in between, and the agent's own.
                seams.clean(&redactor, said("worker", 8, "up"));
                seams.clean(&redactor, said("web", 0, "[it ended]"));
            }
            let shown = texts.join("").replace('\n', "").replace("[hidden]", "");
            prop_assert!(shown.trim_matches('=').len() < 3, "{}", shown.trim_matches('='));
        }
    }

    #[test]
    fn an_unfinished_line_goes_on_after_a_short_part() {
        let (redactor, mut seams) = (redactor(), Seams::default());
        let text = format!("{}\nshort s3cr3t", "=".repeat(MAX_LOG_LINE_BYTES));
        assert!(seams.clean(&redactor, said("web", 7, &text)).text.ends_with("short [hidden]"));
        assert_eq!(seams.clean(&redactor, said("web", 7, "0rd\nrd up")).text, "[hidden]\nrd up");
        // That line had its end.
        assert_eq!(seams.clean(&redactor, said("web", 7, "0rd s3c")).text, "0rd s3c");
    }

    #[test]
    fn the_first_line_may_be_the_end_of_one_that_is_gone() {
        let (redactor, mut seams) = (redactor(), Seams::default());
        let mut shown = |text: &str| seams.clean(&redactor, said("web", 7, text)).text;
        assert_eq!(shown("p4ssw0rd and more"), "[hidden] and more");
        assert_eq!(shown("p4ssw0rd and more"), "p4ssw0rd and more");
        let gone = LogLines { process: None, ..said("", 0, "[lines are gone]") };
        seams.clean(&redactor, gone);
        let mut shown = |text: &str| seams.clean(&redactor, said("web", 7, text)).text;
        assert_eq!(shown("p4ssw0rd and more"), "[hidden] and more");
    }
}
