//! Patterns of workspaces: `apps/*`, `packages/**`, `!packages/old`.

/// The longest pattern that is looked at.
const MAX_PATTERN_BYTES: usize = 256;

/// Whether the patterns, the later over the earlier, take in a path.
pub(super) fn takes_in<'a>(patterns: impl IntoIterator<Item = &'a str>, path: &str) -> bool {
    let mut taken = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(without) if matches(without, path) => taken = false,
            None if matches(pattern, path) => taken = true,
            _ => {}
        }
    }
    taken
}

fn matches(pattern: &str, path: &str) -> bool {
    if pattern.len() > MAX_PATTERN_BYTES {
        return false;
    }
    let pattern = pattern.trim().trim_start_matches("./").trim_end_matches('/');
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    wild(
        &pattern,
        &path,
        |part| *part == "**",
        |part, name| {
            let (part, name): (Vec<char>, Vec<char>) =
                (part.chars().collect(), name.chars().collect());
            wild(
                &part,
                &name,
                |letter| *letter == '*',
                |letter, other| letter == other || *letter == '?',
            )
        },
    )
}

/// Matches with wildcards for any number of items: the last one that was met is given one item
/// more when what follows it fails, which looks at each pair at most once for each wildcard.
fn wild<T>(
    pattern: &[T],
    items: &[T],
    is_any: impl Fn(&T) -> bool,
    is_one: impl Fn(&T, &T) -> bool,
) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut any: Option<(usize, usize)> = None;
    while item < items.len() {
        if at < pattern.len() && is_any(&pattern[at]) {
            any = Some((at, item));
            at += 1;
        } else if at < pattern.len() && is_one(&pattern[at], &items[item]) {
            at += 1;
            item += 1;
        } else if let Some((wildcard, from)) = any {
            any = Some((wildcard, from + 1));
            at = wildcard + 1;
            item = from + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(is_any)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_patterns_take_in() {
        for (pattern, path, taken) in [
            ("apps/*", "apps/web", true),
            ("./apps/*/", "apps/web", true),
            ("apps/*", "apps/web/e2e", false),
            ("apps/**", "apps/web/e2e", true),
            ("**", "a/b", true),
            ("packages/*-app", "packages/my-app", true),
            ("web", "web", true),
            ("web", "web2", false),
            ("a/**/c", "a/b/b/c", true),
            ("a/**/c", "a/b/b/d", false),
        ] {
            assert_eq!(takes_in([pattern], path), taken, "{pattern} {path}");
        }
        assert!(!takes_in(["packages/*", "!packages/old"], "packages/old"));
        assert!(!takes_in([], "a"));
    }

    proptest! {
        #[test]
        fn any_pattern_ends_in_an_answer(pattern in "[a*/!?]{0,256}", path in "[a/]{0,256}") {
            let _ = takes_in([pattern.as_str()], &path);
        }
    }
}
