//! One bare repository on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{GitError, call};
use crate::ForgeError;

/// The id that stands for "no commit" in pushes and webhooks.
pub(crate) const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Who commits through the library. The address can belong to nobody (RFC 2606).
const AUTHOR_NAME: &str = "Pando Forge";
const AUTHOR_EMAIL: &str = "forge@pando.invalid";

/// What every repository is set to. GitHub, too, hides and guards `refs/pull`,
/// hands out any commit by id and serves partial clones; background upkeep
/// would leave processes behind.
const CONFIG: [(&str, &str); 6] = [
    ("receive.hideRefs", "refs/pull"),
    ("receive.autogc", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("uploadpack.allowFilter", "true"),
    ("uploadpack.allowAnySHA1InWant", "true"),
];

/// A bare repository.
#[derive(Debug, Clone)]
pub(crate) struct GitRepository {
    path: PathBuf,
}

/// How much a pull request changes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) commits: u64,
    pub(crate) additions: u64,
    pub(crate) deletions: u64,
    pub(crate) changed_files: u64,
}

/// The full name of a branch.
pub(crate) fn branch_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// The full name under which GitHub keeps a pull request's head.
pub(crate) fn pull_ref(number: u64) -> String {
    format!("refs/pull/{number}/head")
}

/// Whether git takes this as a branch, and no one would read it as something else.
pub(crate) fn check_branch(branch: &str) -> Result<(), ForgeError> {
    let good = !branch.is_empty()
        && branch.len() <= 200
        && !branch.starts_with(['-', '/', '.'])
        && !branch.ends_with(['/', '.'])
        && !branch.ends_with(".lock")
        && !["..", "//", "/.", "@{", ".lock/"].iter().any(|bad| branch.contains(bad))
        && !branch.bytes().any(|byte| byte <= b' ' || b"~^:?*[\\\x7f".contains(&byte));
    if good { Ok(()) } else { Err(ForgeError::BadBranch(branch.to_owned())) }
}

impl GitRepository {
    /// Makes an empty repository whose HEAD is `branch`.
    pub(crate) async fn create(path: PathBuf, branch: &str) -> Result<Self, ForgeError> {
        check_branch(branch)?;
        tokio::fs::create_dir_all(&path)
            .await
            .map_err(ForgeError::io(format!("create {}", path.display())))?;
        let repository = Self { path };
        let initial = format!("--initial-branch={branch}");
        repository.git(&["init", "--quiet", "--bare", "--template=", &initial]).await?;
        for (key, value) in CONFIG {
            repository.git(&["config", key, value]).await?;
        }
        Ok(repository)
    }

    /// Makes a repository with the branches of `parent`.
    pub(crate) async fn fork(
        path: PathBuf,
        parent: &Self,
        branch: &str,
    ) -> Result<Self, ForgeError> {
        let fork = Self::create(path, branch).await?;
        fork.fetch(parent, "+refs/heads/*:refs/heads/*").await?;
        Ok(fork)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    async fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        call(&self.path, arguments, b"").await
    }

    pub(super) async fn text(&self, arguments: &[&str]) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.git(arguments).await?).trim_end().to_owned())
    }

    /// Brings refs of another repository of this stand-in in, by a refspec.
    pub(crate) async fn fetch(&self, from: &Self, refspec: &str) -> Result<(), GitError> {
        let from = from.path.to_string_lossy();
        self.git(&["fetch", "--quiet", "--no-tags", "--", &from, refspec]).await.map(drop)
    }

    /// Every branch and the commit it is at, by short name.
    pub(crate) async fn branches(&self) -> Result<BTreeMap<String, String>, GitError> {
        let format = "--format=%(objectname) %(refname:lstrip=2)";
        let text = self.text(&["for-each-ref", format, "refs/heads"]).await?;
        Ok(text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(sha, branch)| (branch.to_owned(), sha.to_owned()))
            .collect())
    }

    /// The commit that a branch, a tag, another ref or an id stands for.
    pub(crate) async fn resolve(&self, revision: &str) -> Result<Option<String>, GitError> {
        let commit = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        match self.text(&arguments).await {
            Ok(sha) => Ok(Some(sha)),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves a ref, or makes it.
    pub(crate) async fn set_ref(&self, name: &str, sha: &str) -> Result<(), GitError> {
        self.git(&["update-ref", name, sha]).await.map(drop)
    }

    /// Adds one commit to a branch, which starts at `parent` where it is new
    /// (without one, with no history). Files that are not named stay.
    pub(crate) async fn commit(
        &self,
        branch: &str,
        parent: Option<&str>,
        files: &[(&str, &[u8])],
        message: &str,
    ) -> Result<String, ForgeError> {
        check_branch(branch)?;
        let reference = branch_ref(branch);
        let now = pando_types::Clock::now(&pando_types::SystemClock).as_secs();
        let mut stream = format!(
            "commit {reference}\ncommitter {AUTHOR_NAME} <{AUTHOR_EMAIL}> {now} +0000\ndata {}\n{message}\n",
            message.len()
        )
        .into_bytes();
        if let Some(parent) = parent {
            stream.extend_from_slice(format!("from {parent}\n").as_bytes());
        }
        for (path, bytes) in files {
            check_path(path)?;
            stream.extend_from_slice(
                format!("M 100644 inline {path}\ndata {}\n", bytes.len()).as_bytes(),
            );
            stream.extend_from_slice(bytes);
            stream.push(b'\n');
        }
        stream.extend_from_slice(b"done\n");
        call(&self.path, &["fast-import", "--quiet", "--done"], &stream).await?;
        self.resolve(&reference).await?.ok_or_else(|| GitError::Unreadable("fast-import").into())
    }

    /// Whether `descendant` holds `ancestor`.
    pub(crate) async fn is_ancestor(
        &self,
        ancestor: &str,
        descendant: &str,
    ) -> Result<bool, GitError> {
        match self.git(&["merge-base", "--is-ancestor", ancestor, descendant]).await {
            Ok(_) => Ok(true),
            Err(GitError::Failed { code: Some(1), .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The merge commit of two, not yet on any branch; none where they conflict.
    pub(crate) async fn merge(
        &self,
        base: &str,
        head: &str,
        message: &str,
    ) -> Result<Option<String>, GitError> {
        let tree = match self.text(&["merge-tree", "--write-tree", base, head]).await {
            Ok(tree) => tree,
            Err(GitError::Failed { code: Some(1), .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (name, email) =
            (format!("user.name={AUTHOR_NAME}"), format!("user.email={AUTHOR_EMAIL}"));
        let arguments = [
            "-c",
            &name,
            "-c",
            &email,
            "commit-tree",
            "-p",
            base,
            "-p",
            head,
            "-m",
            message,
            &tree,
        ];
        self.text(&arguments).await.map(Some)
    }

    /// How much `head` changes since it left `base`.
    pub(crate) async fn size(&self, base: &str, head: &str) -> Result<Size, GitError> {
        let range = format!("{base}..{head}");
        let commits = self.text(&["rev-list", "--count", &range]).await?;
        let mut size = Size { commits: commits.parse().unwrap_or(0), ..Size::default() };
        let range = format!("{base}...{head}");
        for line in self.text(&["diff", "--numstat", "--no-renames", &range]).await?.lines() {
            let mut columns = line.split('\t').map(|count| count.parse::<u64>().unwrap_or(0));
            size.additions += columns.next().unwrap_or(0);
            size.deletions += columns.next().unwrap_or(0);
            size.changed_files += 1;
        }
        Ok(size)
    }
}

/// Whether the path stays inside the tree and reads back as it was written:
/// fast-import takes a leading quote and a line end as its own syntax.
fn check_path(path: &str) -> Result<(), ForgeError> {
    let good = !path.is_empty()
        && !path.starts_with('"')
        && !path.contains(['\n', '\0'])
        && path.split('/').all(|part| !["", ".", "..", ".git"].contains(&part));
    if good { Ok(()) } else { Err(ForgeError::BadPath(path.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_and_paths_that_git_would_misread_are_refused() {
        for good in ["main", "feature/one", "a.b", "pull-1"] {
            assert!(check_branch(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a..b", "a b", "a~1", "x.lock", "/a", "a//b", "a/.b", "a@{1", "a\n"] {
            assert!(check_branch(bad).is_err(), "{bad}");
        }
        for bad in ["", "../x", "/x", "a//b", ".git/config", "\"x", "a\nb", "a/"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
