//! Data goes to stdout, talk goes to stderr. Without a terminal nothing is drawn
//! or coloured, and progress is lines.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::error::Failure;

/// Writes `text` and a newline to stdout.
pub fn line(text: &str) -> Result<(), Failure> {
    raw(&format!("{text}\n"))
}

/// Writes `text` as it is to stdout.
pub fn raw(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes bytes as they are to stdout.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(not_written)
}

/// Writes what the API said, as JSON: a contract for scripts.
pub fn json(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?;
    line(&text)
}

/// Says something to whoever watches.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// The failure of writing to stdout.
pub fn not_written(error: io::Error) -> Failure {
    Failure::new(anyhow::Error::new(error).context("cannot write to stdout"), "is its disk full?")
}

/// Rows under a header, in columns.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    // Cells come from repositories and guests; none may steer the terminal.
    let clean = |cell: String| cell.replace(char::is_control, " ");
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(clean).collect::<Vec<_>>()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A log comes from code that nobody has reviewed: colours may pass, but nothing
/// else that steers a terminal.
pub fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' if rest.peek() == Some(&'[') => {
                let sequence: String =
                    std::iter::from_fn(|| rest.next_if(|c| matches!(c, '[' | ';' | '0'..='9')))
                        .collect();
                if rest.next_if_eq(&'m').is_some() {
                    clean.push_str(&format!("\u{1b}{sequence}m"));
                }
            }
            '\n' | '\t' => clean.push(character),
            character if character.is_control() => {}
            character => clean.push(character),
        }
    }
    clean
}

/// Something that takes a while: a spinner on a terminal, a line elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Says that `what` has begun.
    pub fn start(what: &str) -> Self {
        if !io::stderr().is_terminal() {
            say(what);
            return Self { bar: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar: Some(bar) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_plain_text() {
        let rows = vec![
            vec!["shop".to_owned(), "running".to_owned(), "http://shop.localhost".to_owned()],
            vec!["a-long-name".to_owned(), "error".to_owned(), "\u{1b}[31mred".to_owned()],
        ];
        insta::assert_snapshot!(table(&["NAME", "STATUS", "URL"], rows), @r"
        NAME         STATUS   URL
        shop         running  http://shop.localhost
        a-long-name  error     [31mred
        ");
    }

    #[test]
    fn an_empty_table_is_its_header() {
        assert_eq!(table(&["NAME", "URL"], Vec::new()), "NAME  URL");
    }

    #[test]
    fn colours_pass_and_commands_do_not() {
        assert_eq!(printable("\u{1b}[1;32mok\u{1b}[0m\n"), "\u{1b}[1;32mok\u{1b}[0m\n");
        assert_eq!(printable("a\u{1b}[2Jb"), "aJb");
        assert_eq!(printable("a\u{1b}]0;title\u{7}b\rc"), "a]0;titlebc");
    }
}
