//! What a commit says about itself, and which commits a push brought.

use super::GitError;
use super::repository::{GitRepository, NO_COMMIT};

/// The most commits that one push event lists. GitHub stops at 2048; no test needs as many.
const MAX_LISTED: &str = "--max-count=20";
/// Fields end in NUL, which no commit can hold.
const FORMAT: &str = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00";

/// Somebody a commit names.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
    /// RFC 3339.
    pub(crate) date: String,
}

/// One commit.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) tree: String,
    pub(crate) parents: Vec<String>,
    pub(crate) author: Person,
    pub(crate) committer: Person,
    pub(crate) message: String,
}

/// The paths that a commit touches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
    pub(crate) modified: Vec<String>,
}

impl GitRepository {
    /// One commit, by id.
    pub(crate) async fn show(&self, sha: &str) -> Result<Commit, GitError> {
        parse(&self.text(&["show", "--no-patch", FORMAT, sha]).await?)
    }

    /// The paths that a commit touches, against its first parent.
    pub(crate) async fn touched(&self, sha: &str) -> Result<Change, GitError> {
        let arguments = [
            "diff-tree",
            "--root",
            "-r",
            "--no-commit-id",
            "--name-status",
            "--no-renames",
            "-m",
            "--first-parent",
            "-z",
            sha,
        ];
        let text = self.text(&arguments).await?;
        let mut change = Change::default();
        let mut words = text.split('\0');
        while let (Some(status), Some(path)) = (words.next(), words.next()) {
            match status {
                "A" => change.added.push(path.to_owned()),
                "D" => change.removed.push(path.to_owned()),
                _ => change.modified.push(path.to_owned()),
            }
        }
        Ok(change)
    }

    /// The commits that came with a push of a branch from `before` to `after`,
    /// oldest first. For a new branch: those that no other branch holds.
    pub(crate) async fn brought(
        &self,
        branch: &str,
        before: &str,
        after: &str,
    ) -> Result<Vec<Commit>, GitError> {
        let (exclude, not) = (format!("--exclude={branch}"), format!("^{before}"));
        let mut arguments = vec!["rev-list", MAX_LISTED, after];
        if before == NO_COMMIT {
            arguments.extend(["--not", &exclude, "--branches"]);
        } else {
            arguments.push(&not);
        }
        let list = self.text(&arguments).await?;
        let mut commits = Vec::new();
        for sha in list.lines().rev() {
            commits.push(self.show(sha).await?);
        }
        Ok(commits)
    }
}

fn parse(text: &str) -> Result<Commit, GitError> {
    let fields: Vec<&str> = text.split('\0').collect();
    let [sha, tree, parents, name, email, date, committer, committer_email, committed, message, ..] =
        fields[..]
    else {
        return Err(GitError::Unreadable("show"));
    };
    let person = |name: &str, email: &str, date: &str| Person {
        name: name.to_owned(),
        email: email.to_owned(),
        date: date.to_owned(),
    };
    Ok(Commit {
        sha: sha.to_owned(),
        tree: tree.to_owned(),
        parents: parents.split_whitespace().map(str::to_owned).collect(),
        author: person(name, email, date),
        committer: person(committer, committer_email, committed),
        message: message.trim_end().to_owned(),
    })
}
