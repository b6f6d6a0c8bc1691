//! Branches, refs and commit ids.

/// Whether the text is a whole commit id.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether git takes the text as a branch (git-check-ref-format(1)), and nobody
/// could read it as an option.
pub(crate) fn is_branch(text: &str) -> bool {
    let good = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    text.len() <= 255
        && !text.starts_with('-')
        && !text.ends_with('.')
        && text != "@"
        && text.split('/').all(good)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"~^:?*[\\".contains(&byte))
}

/// What a deployment asks of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The full name of the ref, where one is known.
    pub full_ref: Option<String>,
    /// The commit, where it is known.
    pub commit: Option<String>,
}

impl Wanted {
    /// From a deployment's `git_ref` (a branch, a full ref or a commit) and commit.
    pub(crate) fn of(git_ref: &str, commit: &str) -> Self {
        let commit = is_commit(commit).then(|| commit.to_owned());
        if is_commit(git_ref) {
            return Self { full_ref: None, commit: commit.or_else(|| Some(git_ref.to_owned())) };
        }
        let full_ref = if git_ref.starts_with("refs/") {
            git_ref.to_owned()
        } else {
            format!("refs/heads/{git_ref}")
        };
        Self { full_ref: Some(full_ref), commit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_that_git_would_misread_are_refused() {
        for good in ["main", "feature/one", "a.b", "renovate/npm-x", "\u{fc}ber"] {
            assert!(is_branch(good), "{good}");
        }
        for bad in [
            "", "-x", "a..b", "a b", "a~1", "x.lock", "/a", "a//b", "a/.b", "a@{1", "a\n", "a/",
            "@", "a.", "a:b", "x.lock/y",
        ] {
            assert!(!is_branch(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_wanted_follows_from_ref_and_commit() {
        let sha = "a".repeat(40);
        let wanted = |full_ref: Option<&str>, commit: Option<&str>| Wanted {
            full_ref: full_ref.map(str::to_owned),
            commit: commit.map(str::to_owned),
        };
        assert_eq!(Wanted::of("main", ""), wanted(Some("refs/heads/main"), None));
        assert_eq!(Wanted::of("main", &sha), wanted(Some("refs/heads/main"), Some(&sha)));
        assert_eq!(
            Wanted::of("refs/pull/7/head", &sha),
            wanted(Some("refs/pull/7/head"), Some(&sha))
        );
        assert_eq!(Wanted::of(&sha, ""), wanted(None, Some(&sha)));
    }
}
