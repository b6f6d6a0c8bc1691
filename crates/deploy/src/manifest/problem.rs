//! What is wrong with a `pando.toml`, shown where it is.

use std::fmt;
use std::ops::Range;

/// The most that are said: what is behind them may be due to them.
const MAX_PROBLEMS: usize = 10;
/// The most characters of a line that are shown.
const MAX_SHOWN_CHARS: usize = 80;
/// The characters before a place that are shown of a line which is longer.
const SHOWN_BEFORE: usize = 40;

/// All that is wrong with a file, each with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: String,
    said: Vec<Said>,
    /// How many more there are.
    more: usize,
}

/// Something wrong, in bytes of the text.
#[derive(Debug)]
pub(super) struct Problem {
    pub span: Range<usize>,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The line, or the part of it that is shown.
    shown: String,
    /// Characters before what is marked.
    before: usize,
    /// Characters that are marked.
    marked: usize,
    text: String,
}

impl Problems {
    /// Of a file's text; there is at least one.
    pub(super) fn new(file: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.start);
        let more = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        let said = problems.into_iter().map(|problem| Said::new(text, problem)).collect();
        Self { file: file.to_owned(), said, more }
    }

    /// Of a file that is too large to be read.
    pub(crate) fn too_large(file: &str) -> Self {
        let text = format!("it is larger than {} KiB", super::MAX_BYTES >> 10);
        Self::new(file, "", vec![Problem { span: 0..0, text }])
    }
}

impl Said {
    fn new(text: &str, problem: Problem) -> Self {
        let mut start = problem.span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let (line, column) = (&text[begin..end], text[begin..start].chars().count());
        let mut stop = problem.span.end.clamp(start, end);
        while !text.is_char_boundary(stop) {
            stop -= 1;
        }
        // A long line is shown from shortly before the place.
        let left_out = if line.chars().count() > MAX_SHOWN_CHARS {
            column.saturating_sub(SHOWN_BEFORE)
        } else {
            0
        };
        let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
        let shown: String =
            line.chars().skip(left_out).take(MAX_SHOWN_CHARS).map(printable).collect();
        let before = column - left_out;
        let marked = text[start..stop].chars().count();
        Self {
            line: text[..begin].matches('\n').count() + 1,
            column: column + 1,
            before,
            marked: marked.clamp(1, (MAX_SHOWN_CHARS - before).max(1)),
            shown: shown.trim_end().to_owned(),
            text: problem.text.replace(char::is_control, " "),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, said) in self.said.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let Said { line, column, shown, before, marked, text } = said;
            if shown.is_empty() {
                write!(f, "{}, line {line}: {text}", self.file)?;
                continue;
            }
            let gutter = line.to_string().len();
            let marks = "^".repeat(*marked);
            writeln!(f, "{}, line {line}, column {column}:", self.file)?;
            writeln!(f, "  {line} | {shown}")?;
            write!(f, "  {:gutter$} | {:before$}{marks} {text}", "", "")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problems {}
