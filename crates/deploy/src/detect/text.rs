//! Small readers of text that strangers wrote: each looks at every byte a bounded
//! number of times.

use pando_types::toml::is_shallow;

/// The longest piece of a file that is shown in a reason.
const MAX_SHOWN_CHARS: usize = 120;

/// The longest path that is taken from a file.
const MAX_PATH_BYTES: usize = 256;

/// A text as it may stand in a reason: one line, and not a long one.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .trim()
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(MAX_SHOWN_CHARS + 1)
        .collect();
    if shown.chars().count() > MAX_SHOWN_CHARS {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// A text in TOML; none where it is something else, or deeper than anybody writes.
pub(super) fn toml(text: &str) -> Option<toml::Table> {
    is_shallow(text).then(|| text.parse().ok())?
}

/// As one word for the shell.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/@:=+-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    let text = text.replace('\'', r"'\''");
    if text.starts_with('-') { format!("'./{text}'") } else { format!("'{text}'") }
}

/// The lines that say something: trimmed, without comments from `#` on.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split_once('#').map_or(line, |(before, _)| before).trim())
        .filter(|line| !line.is_empty())
}

/// The value that a line of code assigns to `name`, up to the line's end: after
/// `name = `, `name: ` or `"name": `.
pub(super) fn assigned<'a>(code: &'a str, name: &str) -> Option<&'a str> {
    code.lines().find_map(|line| {
        let line = line.trim_start();
        if line.starts_with("//") || line.starts_with('#') || line.starts_with('*') {
            return None;
        }
        line.match_indices(name).find_map(|(at, _)| {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|letter| is_word(letter) || letter == '.') {
                return None;
            }
            let rest = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
            let rest = rest.strip_prefix(':').or_else(|| rest.strip_prefix('='))?;
            let value = rest.trim();
            (!value.starts_with('=')).then_some(value)
        })
    })
}

/// What is in the quotes that a value begins with.
pub(super) fn literal(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|letter| matches!(letter, '"' | '\'' | '`'))?;
    value[1..].split_once(quote).map(|(inside, _)| inside)
}

/// The literal that code assigns to `name`.
pub(super) fn assigned_literal<'a>(code: &'a str, name: &str) -> Option<&'a str> {
    literal(assigned(code, name)?)
}

/// Whether code assigns `word` (`true`, `false`, a number) to `name`.
pub(super) fn assigns(code: &str, name: &str, word: &str) -> bool {
    assigned(code, name).is_some_and(|value| {
        value.strip_prefix(word).is_some_and(|rest| !rest.chars().next().is_some_and(is_word))
    })
}

pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// A path below the app's folder that a file names, in one spelling; none where it leads out.
pub(crate) fn inside(path: &str) -> Option<String> {
    joined("", path)
}

/// The same for a path that is named from another.
pub(super) fn joined(base: &str, path: &str) -> Option<String> {
    let mut parts = Vec::new();
    let path = path.trim();
    if path.is_empty() || path.starts_with('/') || base.starts_with('/') {
        return None;
    }
    for part in base.trim().split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    (path.len() <= MAX_PATH_BYTES && !path.contains(char::is_control)).then_some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_code_assigns() {
        let code = "// output: 'no'\nmodule.exports = { distDir: 'x', output: \"export\" }\nssr: false,\na.b = 1\nX='y'";
        assert_eq!(assigned_literal(code, "output"), Some("export"));
        assert_eq!(assigned_literal(code, "distDir"), Some("x"));
        assert_eq!(assigned_literal(code, "X"), Some("y"));
        assert_eq!(assigned_literal(code, "Dir"), None);
        assert_eq!(assigned(code, "b"), None);
        assert!(assigns(code, "ssr", "false") && !assigns(code, "ssr", "fal"));
        assert_eq!(assigned_literal("\"outDir\": \"o\"", "outDir"), Some("o"));
    }

    #[test]
    fn words_for_the_shell() {
        assert_eq!(quoted("lib/a.js"), "lib/a.js");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("-e"), "'./-e'");
        assert_eq!(quoted(""), "''");
        assert_eq!(inside("./a//b/"), Some("a/b".into()));
        assert_eq!(inside("a/../../b"), None);
        assert_eq!(joined("client", "../dist/public"), Some("dist/public".into()));
        assert_eq!(joined("client", "../../dist"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>(), name in "[a-z]{0,3}") {
            let _ = (assigned(&text, &name), literal(&text), quoted(&text), inside(&text));
            prop_assert!(shown(&text).chars().count() <= MAX_SHOWN_CHARS + 1);
            prop_assert!(lines(&text).all(|line| !line.is_empty()));
        }
    }
}
