//! Reads `.env` files. `docs/apps.md` has the rules. What a value holds comes out byte for byte:
//! no variable is expanded, and a line break within quotes is kept as it is.

use pando_types::PublicError;
use pando_types::limits::MAX_DOTENV_BYTES;

use super::judge;

/// What stands around a name or an unquoted value and is not of it.
const BLANK: [char; 3] = [' ', '\t', '\r'];

/// A line that gives a variable a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The line it begins on, from 1.
    pub line: usize,
    pub name: String,
    pub value: String,
}

/// Why a text is no `.env` file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub(crate) struct DotenvError {
    /// The line at fault, from 1.
    pub line: usize,
    pub why: &'static str,
}

/// The assignments of a text that a request holds in `dotenv`, each of which can be set.
pub(crate) fn judged(text: &str) -> Result<Vec<Assignment>, PublicError> {
    let refused = |message| PublicError::invalid("dotenv", message);
    if text.len() > MAX_DOTENV_BYTES {
        return Err(refused(format!("dotenv holds at most {} KiB", MAX_DOTENV_BYTES / 1024)));
    }
    let read = read(text).map_err(|error| refused(error.to_string()))?;
    for it in &read {
        judge::variable(&it.name, &it.value)
            .map_err(|message| refused(format!("line {}: {message}", it.line)))?;
    }
    Ok(read)
}

/// The assignments of a text, in order. Names are not judged.
fn read(text: &str) -> Result<Vec<Assignment>, DotenvError> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut line, mut assignments) = (1, Vec::new());
    while !rest.is_empty() {
        let (head, below) = end_of_line(rest);
        let shown = head.trim_matches(BLANK);
        if shown.is_empty() || shown.starts_with('#') {
            (rest, line) = (below, line + 1);
            continue;
        }
        let refused = |why| DotenvError { line, why };
        let no_value = "there is no `=`; write NAME=VALUE, or `#` before a comment";
        let (name, _) = head.split_once('=').ok_or_else(|| refused(no_value))?;
        let (value, below) = value(&rest[name.len() + 1..]).map_err(refused)?;
        assignments.push(Assignment { line, name: exported(name).to_owned(), value });
        line += rest[..rest.len() - below.len()].matches('\n').count();
        rest = below;
    }
    Ok(assignments)
}

/// The name without `export` before it.
fn exported(name: &str) -> &str {
    let name = name.trim_matches(BLANK);
    let behind = name.strip_prefix("export").filter(|behind| behind.starts_with(BLANK));
    behind.unwrap_or(name).trim_start_matches(BLANK)
}

/// The value that `text` begins with, and what follows its last line.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let behind = text.trim_start_matches(BLANK);
    let (value, rest) = if let Some(quoted) = behind.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'').ok_or("the quote `'` is not closed")?;
        (value.to_owned(), rest)
    } else if let Some(quoted) = behind.strip_prefix('"') {
        unescaped(quoted)?
    } else {
        let (line, below) = end_of_line(text);
        // A `#` within a word is of the word.
        let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with(BLANK));
        let end = comment.map_or(line.len(), |(at, _)| at);
        return Ok((line[..end].trim_matches(BLANK).to_owned(), below));
    };
    let (after, below) = end_of_line(rest);
    let after = after.trim_matches(BLANK);
    if after.is_empty() || after.starts_with('#') {
        return Ok((value, below));
    }
    Err(
        "something stands behind the closing quote; quote all of the value, or escape the quote as \\\"",
    )
}

/// What stands before the closing `"`, its escapes undone, and what follows it.
fn unescaped(quoted: &str) -> Result<(String, &str), &'static str> {
    let (mut value, mut letters) = (String::new(), quoted.chars());
    loop {
        match letters.next().ok_or("the quote `\"` is not closed")? {
            '"' => return Ok((value, letters.as_str())),
            '\\' => match letters.next().ok_or("the quote `\"` is not closed")? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            letter => value.push(letter),
        }
    }
}

fn end_of_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(text).unwrap().into_iter().map(|it| (it.name, it.value)).collect()
    }

    fn one(text: &str) -> String {
        let mut pairs = pairs(text);
        assert_eq!(pairs.len(), 1, "{text:?}");
        pairs.remove(0).1
    }

    #[test]
    fn lines_comments_and_export() {
        let text = "\u{feff}# one\r\n\r\n  A = 1 \r\nexport B=2\n\texport\tC=3 # three\nexport=4\nexported=5\nD=";
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let all =
            [("A", "1"), ("B", "2"), ("C", "3"), ("export", "4"), ("exported", "5"), ("D", "")];
        assert_eq!(pairs(text), all.map(|(name, value)| named(name, value)));
        assert_eq!(read(text).unwrap()[3].line, 6);
        assert!(
            pairs("").is_empty() && pairs("\u{feff}").is_empty() && pairs("\n \n#x").is_empty()
        );
    }

    #[test]
    fn values_as_they_stand() {
        for (text, value) in [
            ("A=postgres://u:p@h/d?x=1&y=#2", "postgres://u:p@h/d?x=1&y=#2"),
            ("A= # nothing", ""),
            ("A=#not a comment", "#not a comment"),
            ("A=a b  c\t# comment", "a b  c"),
            ("A=$HOME ${X} `id` $(id) \\n", "$HOME ${X} `id` $(id) \\n"),
            ("A=it's \"so\"", "it's \"so\""),
            ("A='$x # \"y\" \\n '# comment", "$x # \"y\" \\n "),
            ("A=\"$x # 'y' \" # comment", "$x # 'y' "),
            ("A=\"a\\nb\\r\\t\\\"\\\\\\$\\`\"", "a\nb\r\t\"\\$`"),
            ("A=\"C:\\dir \\u00e4 \\'\"", "C:\\dir \\u00e4 \\'"),
            ("A=''", ""),
            ("A=\"\"\r\n", ""),
            ("A=\u{a0}ä\u{a0}", "\u{a0}ä\u{a0}"),
        ] {
            assert_eq!(one(text), value, "{text}");
        }
    }

    #[test]
    fn quoted_values_may_have_lines() {
        let key = "-----BEGIN KEY-----\nabc=\n\n# not a comment\n-----END KEY-----\n";
        for quote in ['\'', '"'] {
            let read = read(&format!("A={quote}{key}{quote}\nB=2")).unwrap();
            assert_eq!(read[0].value, key);
            assert_eq!((read[1].line, read[1].value.as_str()), (7, "2"));
        }
        assert_eq!(one("A='a\r\nb'\r\n"), "a\r\nb");
    }

    #[test]
    fn the_line_at_fault_is_named() {
        for (text, line) in [
            ("A=1\n\nB", 3),
            ("A=1\nexport B\n", 2),
            ("A='\n\n", 1),
            ("A=1\r\nB=\"x\\", 2),
            ("A='1\n2'\nB=\"x\" y", 3),
            ("A=\"x\"y", 1),
        ] {
            assert_eq!(read(text).unwrap_err().line, line, "{text:?}");
        }
    }

    fn escaped(value: &str) -> String {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }

    /// Every way to write a value that can hold it.
    fn spellings(value: &str) -> Vec<String> {
        let mut all =
            vec![escaped(value), escaped(value).replace('\n', "\\n").replace('\t', "\\t")];
        if !value.contains('\'') {
            all.push(format!("'{value}'"));
        }
        let plain = !value.contains(['\n', '#']) && value.trim_matches(BLANK) == value;
        if plain && !value.starts_with(['\'', '"']) {
            all.push(value.to_owned());
        }
        all
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[ -~\\n\\r\\t]{0,40}", "[\\\\\"'$#=`{} \\n\\r]{0,12}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn any_value_arrives_byte_for_byte(value in value(), next in "[a-z]{0,3}", end in "(\n|\r\n| # x\n)") {
            for text in spellings(&value) {
                let both = format!("export A={text}{end}B={next}");
                let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
                prop_assert_eq!(pairs(&both), [named("A", &value), named("B", &next)], "{:?}", both);
            }
        }

        #[test]
        fn any_text_ends_in_an_answer(text in "[A='\"\\\\# \\n\\r\\t\u{feff}x]{0,60}") {
            let lines = text.matches('\n').count() + 1;
            match read(&text) {
                Ok(all) => prop_assert!(all.iter().all(|it| it.line <= lines && text.contains('='))),
                Err(error) => prop_assert!((1..=lines).contains(&error.line)),
            }
        }
    }
}
