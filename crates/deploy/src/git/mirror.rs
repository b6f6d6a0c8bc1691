//! Mirrors: bare repositories below `mirrors/`, one for each address.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pando_node::garbage::touch;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::time::Instant;

use super::program::{Call, is_proxied};
use super::{GitError, GitUrl, HostPort, Wanted};

/// How long the whole of a fetch may take.
pub(crate) const FETCH_LIMIT: Duration = Duration::from_secs(120);
/// How long a commit that was announced may be missing at the forge.
const LAG_LIMIT: Duration = Duration::from_secs(30);
const FIRST_LAG_PAUSE: Duration = Duration::from_millis(500);
/// How long a question about what is here may take.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(30);
/// The bytes of one listing.
const MAX_LISTING_BYTES: usize = 4 << 20;
/// How many fetched commits a mirror keeps; then it starts over, which with a
/// history of depth one costs little.
const MAX_COMMITS: usize = 64;
/// How many mirrors are kept, those that were used last.
const MAX_MIRRORS: usize = 500;

/// Attributes that no file of the repository can outdo (gitattributes(5): of all,
/// `info/attributes` wins): the tree arrives byte for byte, and whole.
const ATTRIBUTES: &str =
    "* -export-ignore -export-subst -text -ident -filter !eol !working-tree-encoding\n";

/// How the names of mirrors end, and of those that are being removed.
pub(super) const MIRROR: &str = "git";
const GRAVE: &str = "old";

/// All mirrors.
pub(crate) struct Mirrors {
    pub(super) root: PathBuf,
    allowed: Vec<HostPort>,
    /// By the name of the mirror's folder.
    locks: Mutex<HashMap<String, Arc<RwLock<()>>>>,
}

/// One mirror with a commit in it, which stays while this is held.
pub(crate) struct Mirror {
    pub(super) dir: PathBuf,
    pub commit: String,
    pub(super) hold: Arc<OwnedRwLockReadGuard<()>>,
}

impl Mirrors {
    pub(crate) fn open(root: PathBuf, allowed: Vec<HostPort>) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        for entry in fs::read_dir(&root)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == GRAVE) {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(Self { root, allowed, locks: Mutex::default() })
    }

    /// Reads an address that a user or a webhook names.
    pub(crate) fn parse(&self, url: &str) -> Result<GitUrl, GitError> {
        Ok(GitUrl::parse(url, &self.allowed)?)
    }

    /// The commit that a ref of the repository is at.
    pub(crate) async fn resolve(&self, url: &GitUrl, full_ref: &str) -> Result<String, GitError> {
        let dir = self.dir(url);
        let lock = self.lock(&name(url));
        let _turn = lock.write().await;
        self.ensure(&dir).await?;
        let config = self.transport(url).await?;
        resolve(&dir, &config, url, full_ref).await
    }

    /// Brings exactly one commit in, and holds it. A forge may announce a commit
    /// before it hands it out: that is waited for, but not for long.
    pub(crate) async fn fetch(&self, url: &GitUrl, wanted: &Wanted) -> Result<Mirror, GitError> {
        let limited = tokio::time::timeout(FETCH_LIMIT, self.fetch_unlimited(url, wanted)).await;
        limited.unwrap_or(Err(GitError::Timeout { verb: "fetch", limit: FETCH_LIMIT }))
    }

    async fn fetch_unlimited(&self, url: &GitUrl, wanted: &Wanted) -> Result<Mirror, GitError> {
        let commit = match (&wanted.commit, &wanted.full_ref) {
            (Some(commit), _) => commit.clone(),
            (None, Some(full_ref)) => self.resolve(url, full_ref).await?,
            (None, None) => return Err(GitError::NoRef("commit".into())),
        };
        let dir = self.dir(url);
        let turn = self.lock(&name(url)).write_owned().await;
        self.ensure(&dir).await?;
        if !has(&dir, &commit).await {
            let config = self.transport(url).await?;
            let begun = Instant::now();
            let mut pause = FIRST_LAG_PAUSE;
            while let Err(error) = bring(&dir, &config, url, &commit, wanted).await {
                if !may_lag(&error) || begun.elapsed() + pause > LAG_LIMIT {
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        touch(&dir);
        Ok(Mirror { dir, commit, hold: Arc::new(turn.downgrade()) })
    }

    /// Removes a repository's mirror, once nobody reads it.
    pub(crate) async fn remove(&self, url: &GitUrl) -> Result<(), GitError> {
        let lock = self.lock(&name(url));
        let _turn = lock.write().await;
        remove(self.dir(url)).await
    }

    fn dir(&self, url: &GitUrl) -> PathBuf {
        self.root.join(name(url))
    }

    /// The lock of the mirror in the folder of that name.
    pub(super) fn lock(&self, name: &str) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(name.to_owned()).or_default())
    }

    /// Makes the mirror where there is none, and anew where it is full or a git was
    /// killed in it. The caller holds it alone, so whatever lock is there is stale.
    async fn ensure(&self, dir: &Path) -> Result<(), GitError> {
        if dir.join("info/attributes").exists() && is_sound(dir) {
            return Ok(());
        }
        remove(dir.to_owned()).await?;
        fs::create_dir_all(dir).map_err(GitError::Folder)?;
        let arguments = ["init", "--quiet", "--bare", "--template="];
        Call { dir, config: &[], arguments: &arguments, limit: READ_LIMIT }.run(0).await?;
        fs::create_dir_all(dir.join("info")).map_err(GitError::Folder)?;
        // Last, and whole: its presence says that the mirror is ready.
        let temporary = dir.join("info/attributes.tmp");
        fs::write(&temporary, ATTRIBUTES).map_err(GitError::Folder)?;
        fs::hard_link(&temporary, dir.join("info/attributes")).map_err(GitError::Folder)?;
        if let Err(error) = self.keep_at_most(MAX_MIRRORS) {
            tracing::warn!(%error, "there are more mirrors than need be");
        }
        Ok(())
    }

    /// The settings with which git may reach this address, and nothing else.
    async fn transport(&self, url: &GitUrl) -> Result<Vec<String>, GitError> {
        let protocol = if url.is_plain() { "http" } else { "https" };
        let mut config = vec![format!("protocol.{protocol}.allow=always")];
        if let Some(addresses) = url.check(&self.allowed, is_proxied()).await? {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let (host, port) = (url.host(), url.port());
            config.push(format!("http.curloptResolve={host}:{port}:{}", addresses.join(",")));
        }
        Ok(config)
    }
}

/// Whether nothing half done lies about, and there is room for another commit.
fn is_sound(dir: &Path) -> bool {
    let names = |folder: &str| {
        let entries = fs::read_dir(dir.join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let commits = names("refs/pando");
    let is_lock = |name: &String| name.ends_with(".lock");
    let is_left_over = |name: &String| name.starts_with("tmp_");
    commits.len() < MAX_COMMITS
        && !commits.iter().any(is_lock)
        && !names(".").iter().any(is_lock)
        && !names("objects/pack").iter().any(is_left_over)
}

/// The name of a repository's folder.
fn name(url: &GitUrl) -> String {
    let hash = blake3::hash(url.mirror_key().as_bytes()).to_hex();
    format!("{}.{MIRROR}", &hash[..32])
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

/// Whether the forge may just not have it yet.
fn may_lag(error: &GitError) -> bool {
    matches!(error, GitError::Failed { .. } | GitError::Moved { .. } | GitError::NoRef(_))
}

fn kept_ref(commit: &str) -> String {
    format!("refs/pando/{commit}")
}

/// Whether a commit came in whole: the ref is written last.
async fn has(dir: &Path, commit: &str) -> bool {
    let name = kept_ref(commit);
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
    Call { dir, config: &[], arguments: &arguments, limit: READ_LIMIT }.run(1024).await.is_ok()
}

async fn resolve(
    dir: &Path,
    config: &[String],
    url: &GitUrl,
    full_ref: &str,
) -> Result<String, GitError> {
    let url = url.to_string();
    let arguments = ["ls-remote", "--refs", "--", &url, full_ref];
    let call = Call { dir, config, arguments: &arguments, limit: READ_LIMIT };
    let text = String::from_utf8_lossy(&call.run(MAX_LISTING_BYTES).await?).into_owned();
    // The pattern also fits refs that end in it.
    let found =
        text.lines().filter_map(|line| line.split_once('\t')).find(|(_, name)| *name == full_ref);
    match found {
        Some((commit, _)) if super::is_commit(commit) => Ok(commit.to_owned()),
        Some(_) => Err(GitError::Unreadable("ls-remote")),
        None => Err(GitError::NoRef(full_ref.to_owned())),
    }
}

/// By its id; from a forge that hands out none by id, through its ref.
async fn bring(
    dir: &Path,
    config: &[String],
    url: &GitUrl,
    commit: &str,
    wanted: &Wanted,
) -> Result<(), GitError> {
    let by_id = fetch(dir, config, url, commit, commit).await;
    let (Err(GitError::Failed { .. }), Some(full_ref)) = (&by_id, &wanted.full_ref) else {
        return by_id;
    };
    let found = resolve(dir, config, url, full_ref).await?;
    if found != commit {
        let (name, wanted) = (full_ref.clone(), commit.to_owned());
        return Err(GitError::Moved { name, found, wanted });
    }
    fetch(dir, config, url, full_ref, commit).await?;
    let name = kept_ref(commit);
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
    let call = Call { dir, config: &[], arguments: &arguments, limit: READ_LIMIT };
    let came = String::from_utf8_lossy(&call.run(1024).await?).trim().to_owned();
    if came == commit { Ok(()) } else { Err(GitError::Unreadable("fetch")) }
}

async fn fetch(
    dir: &Path,
    config: &[String],
    url: &GitUrl,
    from: &str,
    commit: &str,
) -> Result<(), GitError> {
    let (url, refspec) = (url.to_string(), format!("+{from}:{}", kept_ref(commit)));
    let arguments = [
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--",
        &url,
        &refspec,
    ];
    Call { dir, config, arguments: &arguments, limit: FETCH_LIMIT }.run(0).await.map(drop)
}
