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
    /// The branch that the tree says it is on; none for a submodule.
    pub branch: Option<String>,
    /// Which submodules the app's credential is shown to.
    pub vouched: Vouched,
}

/// Which submodules a credential is shown to. A pull request may name any repository that
/// the app's credential happens to open, to have it in its preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vouched {
    /// All: who wrote the commit may read what the app reads.
    All,
    /// Those that this commit of the app names, too.
    Of(Option<String>),
}

impl Wanted {
    /// From a deployment's `git_ref` (a branch, a full ref or a commit) and commit.
    pub(crate) fn of(git_ref: &str, commit: &str) -> Self {
        let commit = is_commit(commit).then(|| commit.to_owned());
        if is_commit(git_ref) {
            let commit = commit.or_else(|| Some(git_ref.to_owned()));
            return Self { full_ref: None, commit, branch: None, vouched: Vouched::All };
        }
        let full_ref = if git_ref.starts_with("refs/") {
            git_ref.to_owned()
        } else {
            format!("refs/heads/{git_ref}")
        };
        let branch = full_ref.strip_prefix("refs/heads/").map(str::to_owned);
        Self { full_ref: Some(full_ref), commit, branch, vouched: Vouched::All }
    }

    /// One commit, whatever it is on.
    pub(super) fn commit(commit: &str) -> Self {
        Self {
            full_ref: None,
            commit: Some(commit.to_owned()),
            branch: None,
            vouched: Vouched::All,
        }
    }

    /// The same on the first of these branches that is one.
    pub(crate) fn on(self, branches: &[&str]) -> Self {
        let branch = branches.iter().find(|branch| is_branch(branch));
        Self { branch: branch.map(|branch| (*branch).to_owned()).or(self.branch), ..self }
    }

    /// The same with the credential shown to those submodules alone that a commit of the
    /// app names.
    pub(crate) fn vouched_by(self, commit: Option<String>) -> Self {
        Self { vouched: Vouched::Of(commit), ..self }
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
            branch: full_ref.and_then(|it| it.strip_prefix("refs/heads/")).map(str::to_owned),
            vouched: Vouched::All,
        };
        assert_eq!(Wanted::of("main", ""), wanted(Some("refs/heads/main"), None));
        assert_eq!(Wanted::of("main", &sha), wanted(Some("refs/heads/main"), Some(&sha)));
        assert_eq!(
            Wanted::of("refs/pull/7/head", &sha),
            wanted(Some("refs/pull/7/head"), Some(&sha))
        );
        assert_eq!(Wanted::of(&sha, ""), wanted(None, Some(&sha)));
        let branch = |names: &[&str]| Wanted::of("refs/pull/7/head", &sha).on(names).branch;
        assert_eq!(branch(&["blue", "pull/7"]).as_deref(), Some("blue"));
        assert_eq!(branch(&["-oops", "pull/7"]).as_deref(), Some("pull/7"));
    }
}
