//! Mirrors: bare repositories below `mirrors/`, one for each address and org.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pando_types::OrgId;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::access;
use super::host::HostPort;
use super::index::Entry;
use super::keep::{self, Keeps};
use super::lfs::Objects;
use super::program::Call;
use super::repository::Repository;
use super::scratch::SCRATCH;
use super::{GitError, GitUrl};

/// How long the fetch of one commit may take.
pub(crate) const FETCH_LIMIT: Duration = Duration::from_secs(120);
/// How long a question about what is here may take.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(30);
/// The bytes of one listing.
pub(super) const MAX_LISTING_BYTES: usize = 4 << 20;
/// How many mirrors are kept, those that were used last.
const MAX_MIRRORS: usize = 500;

/// Attributes that no file of the repository can outdo (gitattributes(5): of all,
/// `info/attributes` wins): the tree arrives byte for byte, and whole.
const ATTRIBUTES: &str =
    "* -export-ignore -export-subst -text -ident -filter !eol !working-tree-encoding\n";

/// How the names of mirrors end, and of those that are being removed.
pub(super) const MIRROR: &str = "git";
const GRAVE: &str = "old";
/// Where the refs of fetched commits lie.
pub(super) const COMMITS: &str = "refs/pando";

/// All mirrors.
pub(crate) struct Mirrors {
    pub(super) root: PathBuf,
    pub(super) allowed: Vec<HostPort>,
    pub(super) keeps: Arc<dyn Keeps>,
    /// By the name of the mirror's folder.
    locks: Mutex<HashMap<String, Arc<Turns>>>,
}

/// Who may do what with a mirror now.
#[derive(Default)]
pub(super) struct Turns {
    /// Held to read by who relies on what is there, so by who fetches, too; alone by who
    /// takes something away.
    pub uses: Arc<RwLock<()>>,
    /// Held by who fetches into it.
    pub fetches: tokio::sync::Mutex<()>,
}

/// A commit with all that belongs to its tree, which stays while this is held.
#[derive(Clone)]
pub(crate) struct Mirror {
    pub commit: String,
    pub(super) held: Arc<Held>,
}

/// What a tree is made of.
pub(super) struct Held {
    /// The commit itself, then those of its submodules.
    pub parts: Vec<Part>,
    /// What becomes `.git`.
    pub repository: Repository,
    /// Each mirror once.
    pub _turns: Vec<OwnedRwLockReadGuard<()>>,
}

/// A commit in its mirror, and where it goes.
pub(super) struct Part {
    /// From the root of the tree; empty for that itself.
    pub path: String,
    pub dir: PathBuf,
    pub commit: String,
    pub entries: Vec<Entry>,
    pub objects: Objects,
}

impl Mirrors {
    pub(crate) fn open(
        root: PathBuf,
        allowed: Vec<HostPort>,
        keeps: Arc<dyn Keeps>,
    ) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        // Private repositories are in it.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&root)? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == GRAVE || it == SCRATCH) {
                fs::remove_dir_all(path)?;
            } else if path.extension().is_some_and(|it| it == MIRROR) && keep::is_empty(&path)? {
                bury(&path)?;
            }
        }
        Ok(Self { root, allowed, keeps, locks: Mutex::default() })
    }

    /// Reads an address that a user or a webhook names.
    pub(crate) fn parse(&self, url: &str) -> Result<GitUrl, GitError> {
        Ok(GitUrl::parse(url, &self.allowed)?)
    }

    /// Removes an org's mirrors of a repository, once nobody reads them.
    pub(crate) async fn remove(&self, org: OrgId, url: &GitUrl) -> Result<(), GitError> {
        for is_private in [false, true] {
            let name = access::mirror(org, url, is_private);
            let lock = self.lock(&name);
            let _turn = lock.uses.write().await;
            remove(self.root.join(name)).await?;
        }
        Ok(())
    }

    /// The lock of the mirror in the folder of that name.
    pub(super) fn lock(&self, name: &str) -> Arc<Turns> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(name.to_owned()).or_default())
    }

    /// Makes the mirror where there is none, and clears away what a git that was killed
    /// left in it. Nobody else fetches into it now, so whatever lock is there is stale.
    pub(super) async fn ensure(&self, name: &str) -> Result<PathBuf, GitError> {
        let dir = self.root.join(name);
        if dir.join("info/attributes").exists() {
            clear(&dir).map_err(GitError::Folder)?;
            return Ok(dir);
        }
        remove(dir.clone()).await?;
        fs::create_dir_all(&dir).map_err(GitError::Folder)?;
        Call::new(&dir, &["init", "--quiet", "--bare", "--template="]).run(0).await?;
        fs::create_dir_all(dir.join("info")).map_err(GitError::Folder)?;
        // Last, and whole: its presence says that the mirror is ready.
        let temporary = dir.join("info/attributes.tmp");
        fs::write(&temporary, ATTRIBUTES).map_err(GitError::Folder)?;
        fs::hard_link(&temporary, dir.join("info/attributes")).map_err(GitError::Folder)?;
        if let Err(error) = self.keep_at_most(MAX_MIRRORS).await {
            tracing::warn!(%error, "there are more mirrors than need be");
        }
        Ok(dir)
    }
}

/// Removes locks and half-written packs: refs are whole or not there, and so are packs.
pub(super) fn clear(dir: &Path) -> io::Result<()> {
    for folder in [".", COMMITS, "objects/pack"] {
        let entries = match fs::read_dir(dir.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".lock") || name.starts_with("tmp_") {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

async fn remove(dir: PathBuf) -> Result<(), GitError> {
    let removed = tokio::task::spawn_blocking(move || bury(&dir).map(drop));
    removed.await.map_err(io::Error::other).and_then(|removed| removed).map_err(GitError::Folder)
}

/// Removes a mirror that the caller holds alone: whether there was one. It leaves its place
/// whole: a half of one could be taken for a mirror.
pub(super) fn bury(dir: &Path) -> io::Result<bool> {
    let grave = dir.with_extension(GRAVE);
    match fs::remove_dir_all(&grave) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::rename(dir, &grave) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(()) => fs::remove_dir_all(grave).map(|()| true),
    }
}

/// The ref of a commit that came in whole.
pub(super) fn kept_ref(commit: &str) -> String {
    format!("{COMMITS}/{commit}")
}

/// Below this lie the tags at a commit.
pub(super) fn tagged(commit: &str) -> String {
    format!("refs/tagged/{commit}/")
}

/// Whether a commit came in whole: the ref is written last.
pub(super) async fn has(dir: &Path, commit: &str) -> bool {
    let name = kept_ref(commit);
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
    Call::new(dir, &arguments).run(1024).await.is_ok()
}
