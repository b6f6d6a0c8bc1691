//! Which commits stay: those that are live, and those that may be again. Forges forget
//! commits that a force-push left behind; a mirror must not.
//!
//! Rows say which commits apps need, and a note beside each commit which others it needs:
//! those of its submodules, and files in LFS.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use async_trait::async_trait;
use pando_store::{KeptCommit, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::mirror::{COMMITS, FETCH_LIMIT, MAX_LISTING_BYTES, Mirrors, bury, kept_ref, tagged};
use super::program::Call;
use super::{GitError, GitUrl, access, lfs};

/// How many deployments of each app that were live can be live again.
const LIVE_AGAIN: u32 = 5;
/// How many commits that nothing needs are put up with; then all but the latest go.
const MAX_SPARE: usize = 64;
const LATEST_SPARE: usize = 16;
const NOTES: &str = "needs";

/// Who knows which commits apps need.
#[async_trait]
pub(crate) trait Keeps: Send + Sync {
    /// Those that are live or can be again.
    async fn kept(&self) -> Result<Vec<KeptCommit>, StoreError>;
}

#[async_trait]
impl Keeps for Store {
    async fn kept(&self) -> Result<Vec<KeptCommit>, StoreError> {
        self.commit_list_kept(LIVE_AGAIN).await
    }
}

/// The commits to keep, by the name of their mirror's folder.
pub(super) type Kept = HashMap<String, BTreeSet<String>>;

/// What a commit needs beside itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Note {
    /// Mirror and commit of each submodule.
    pub submodules: BTreeSet<(String, String)>,
    /// Files in LFS, which lie beside the note.
    pub lfs: BTreeSet<String>,
}

impl Note {
    fn path(dir: &Path, commit: &str) -> PathBuf {
        dir.join(NOTES).join(commit)
    }

    fn read(dir: &Path, commit: &str) -> Self {
        let note = fs::read(Self::path(dir, commit)).unwrap_or_default();
        serde_json::from_slice(&note).unwrap_or_default()
    }

    /// Adds to what is noted: another app may read the same submodules another way.
    pub(super) fn add_to(mut self, dir: &Path, commit: &str) -> io::Result<()> {
        if self.submodules.is_empty() && self.lfs.is_empty() {
            return Ok(());
        }
        let mut known = Self::read(dir, commit);
        self.submodules.append(&mut known.submodules);
        self.lfs.append(&mut known.lfs);
        fs::create_dir_all(dir.join(NOTES))?;
        fs::write(Self::path(dir, commit), serde_json::to_vec(&self)?)
    }
}

impl Mirrors {
    pub(super) async fn kept(&self) -> Result<Kept, StoreError> {
        let mut kept = Kept::new();
        for row in self.keeps.kept().await? {
            // One that may not be fetched from any more is of no use either.
            let Ok(url) = GitUrl::parse(&row.git_url, &self.allowed) else { continue };
            let is_private = if url.is_ssh() { row.has_deploy_key } else { row.has_git_token };
            let mirror = access::mirror(row.org, &url, is_private);
            for (mirror, commit) in Note::read(&self.root.join(&mirror), &row.commit).submodules {
                kept.entry(mirror).or_default().insert(commit);
            }
            kept.entry(mirror).or_default().insert(row.commit);
        }
        Ok(kept)
    }

    /// Removes a mirror into which no commit ever came, unless somebody tries again: its address
    /// may be wrong, and no app's that is removed one day (a submodule's is none's).
    pub(super) fn drop_empty(&self, name: &str) {
        let lock = self.lock(name);
        let Ok(_turn) = lock.uses.try_write() else { return };
        let dir = self.root.join(name);
        if let Err(error) = is_empty(&dir).and_then(|is_empty| Ok(is_empty && bury(&dir)?)) {
            tracing::warn!(%error, mirror = name, "an empty mirror stays");
        }
    }

    /// Lets go of commits that nothing needs, where there are many and nobody reads any.
    pub(super) async fn slim(&self, name: &str) -> Result<(), GitError> {
        let lock = self.lock(name);
        let Ok(_turn) = lock.uses.try_write() else { return Ok(()) };
        let dir = self.root.join(name);
        let commits = commits(&dir).map_err(GitError::Folder)?;
        if commits.len() <= MAX_SPARE {
            return Ok(());
        }
        let kept = match self.kept().await {
            Ok(mut kept) => kept.remove(name).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "a mirror keeps all that it has");
                return Ok(());
            }
        };
        let spare: Vec<_> =
            commits.into_iter().filter(|(_, commit)| !kept.contains(commit)).collect();
        if spare.len() <= MAX_SPARE {
            return Ok(());
        }
        let gone = spare.into_iter().rev().skip(LATEST_SPARE).map(|(_, commit)| commit);
        let gone: Vec<String> = gone.collect();
        forget(&dir, &gone).await?;
        tracing::info!(mirror = name, commits = gone.len(), "commits that nothing needs went");
        Ok(())
    }
}

/// Whether a mirror has no commit.
pub(super) fn is_empty(dir: &Path) -> io::Result<bool> {
    Ok(commits(dir)?.is_empty())
}

/// The commits of a mirror and when each was last asked for, oldest first.
fn commits(dir: &Path) -> io::Result<Vec<(SystemTime, String)>> {
    let entries = match fs::read_dir(dir.join(COMMITS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut commits = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if super::is_commit(&name) {
            commits.push((entry.metadata()?.modified()?, name));
        }
    }
    commits.sort();
    Ok(commits)
}

/// Removes commits, and what only they needed.
async fn forget(dir: &Path, gone: &[String]) -> Result<(), GitError> {
    let mut changes = String::new();
    for commit in gone {
        changes.push_str(&format!("delete {}\n", kept_ref(commit)));
        let prefix = tagged(commit);
        let arguments = ["for-each-ref", "--format=%(refname)", &prefix];
        let tags = Call::new(dir, &arguments).run(MAX_LISTING_BYTES).await?;
        for tag in String::from_utf8_lossy(&tags).lines() {
            changes.push_str(&format!("delete {tag}\n"));
        }
    }
    let limit = FETCH_LIMIT;
    let arguments = ["update-ref", "--stdin"];
    Call { input: changes.as_bytes(), ..Call::new(dir, &arguments) }.run(0).await?;
    Call { limit, ..Call::new(dir, &["repack", "-a", "-d", "--quiet"]) }.run(0).await?;
    Call { limit, ..Call::new(dir, &["prune", "--expire=now"]) }.run(0).await?;
    forget_files(dir, gone).map_err(GitError::Folder)
}

fn forget_files(dir: &Path, gone: &[String]) -> io::Result<()> {
    for commit in gone {
        let _ = fs::remove_file(Note::path(dir, commit));
    }
    let mut needed = BTreeSet::new();
    for (_, commit) in commits(dir)? {
        needed.append(&mut Note::read(dir, &commit).lfs);
    }
    for entry in fs::read_dir(dir.join(lfs::FOLDER)).into_iter().flatten() {
        let entry = entry?;
        if !needed.contains(&*entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
