//! Whether a text in TOML may be read at all.
//!
//! What reads it limits how deep values lie in each other, and how many keys a dotted one
//! has: 80 of each. But they multiply, and a table that is 6,400 deep (12 KB of text) is
//! built and dropped by functions that call themselves so often: that ends the process.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// How deep tables and lists may lie in each other.
pub const MAX_TOML_DEPTH: usize = 64;

/// Whether no table or list of a text lies deeper than [`MAX_TOML_DEPTH`] in others, those of
/// dotted keys counted: to be asked of what a stranger wrote before it is read.
#[must_use]
pub fn is_shallow(text: &str) -> bool {
    // What is open, and how deep it goes with the keys before it.
    let mut open: Vec<(TokenKind, usize)> = Vec::new();
    let (mut depth, mut dots) = (0, 0);
    for token in Source::new(text).lex() {
        let kind = token.kind();
        match kind {
            TokenKind::Dot => dots += 1,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                open.push((kind, dots + 1));
                depth += dots + 1;
                dots = 0;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                // One that closes nothing is an error, and whatever is open may stay so.
                let closes = |(opened, _): &mut (TokenKind, usize)| {
                    (*opened == TokenKind::LeftSquareBracket)
                        == (kind == TokenKind::RightSquareBracket)
                };
                depth -= open.pop_if(closes).map_or(0, |(_, deep)| deep);
                dots = 0;
            }
            TokenKind::Comma => dots = 0,
            TokenKind::Newline if open.is_empty() => dots = 0,
            _ => {}
        }
        if depth + dots > MAX_TOML_DEPTH {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(times: usize, before: &str, open: &str, close: &str) -> String {
        format!("x={}1{}", format!("{open}{before}").repeat(times), close.repeat(times))
    }

    #[test]
    fn what_people_write_is_shallow() {
        let lists = "[1.5, '1.5.2', [1.0, 2.0]],\n".repeat(1000);
        for text in [
            "",
            "[tool.poetry.group.dev.dependencies]\nx = { version = '1.2.3', extras = ['a.b.c'] }\n",
            "a = '''\n[[[[{{{{\n''' # [[[[[\nb = \"\\\"[[[\"\n",
            &format!("x = [\n{lists}]"),
            &"[a.b.c]\nd.e = 1.0\n".repeat(1000),
            &nested(32, "", "[", "]"),
        ] {
            assert!(is_shallow(text), "{text}");
        }
    }

    #[test]
    fn what_would_end_the_process_is_not() {
        let dotted = format!("{}=", vec!["a"; 79].join("."));
        for text in [
            nested(65, "", "[", "]"),
            nested(40, "a=", "{", "}").replace('1', &nested(40, "a=", "{", "}")[2..]),
            nested(1, &dotted, "{", "}"),
            nested(79, &dotted, "{", "}"),
            nested(79, "a.a=", "{", "]"),
            nested(79, "a.a\n=", "{", "}"),
            nested(79, "a.a.b=", "{", ""),
        ] {
            assert!(!is_shallow(&text), "{text}");
        }
    }
}
