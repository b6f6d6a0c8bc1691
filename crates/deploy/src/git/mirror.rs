//! Mirrors: bare repositories below `mirrors/`, one for each address.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
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
const READ_LIMIT: Duration = Duration::from_secs(30);
/// The largest tree that goes into a sandbox.
const MAX_TREE_BYTES: u64 = 2 << 30;
/// How long a sandbox may take to swallow it.
const TREE_LIMIT: Duration = Duration::from_secs(600);
/// The bytes of one listing.
const MAX_LISTING_BYTES: usize = 4 << 20;
/// How many fetched commits a mirror keeps; then it starts over, which with a
/// history of depth one costs little.
const MAX_COMMITS: usize = 64;

/// Attributes that no file of the repository can outdo (gitattributes(5): of all,
/// `info/attributes` wins): the tree arrives byte for byte, and whole.
const ATTRIBUTES: &str =
    "* -export-ignore -export-subst -text -ident -filter !eol !working-tree-encoding\n";

/// A tree as a tar stream.
pub(crate) type TreeStream = BoxStream<'static, Result<Bytes, GitError>>;

/// All mirrors.
pub(crate) struct Mirrors {
    root: PathBuf,
    allowed: Vec<HostPort>,
    locks: Mutex<HashMap<String, Arc<RwLock<()>>>>,
}

/// One mirror with a commit in it, which stays while this is held.
pub(crate) struct Mirror {
    dir: PathBuf,
    pub commit: String,
    hold: Arc<OwnedRwLockReadGuard<()>>,
}

impl Mirrors {
    pub(crate) fn open(root: PathBuf, allowed: Vec<HostPort>) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self {
            root,
            allowed,
            locks: Mutex::default(),
        })
    }

    /// Reads an address that a user or a webhook names.
    pub(crate) fn parse(&self, url: &str) -> Result<GitUrl, GitError> {
        Ok(GitUrl::parse(url, &self.allowed)?)
    }

    /// The commit that a ref of the repository is at.
    pub(crate) async fn resolve(&self, url: &GitUrl, full_ref: &str) -> Result<String, GitError> {
        let dir = self.dir(url);
        let lock = self.lock(url);
        let _turn = lock.write().await;
        self.ensure(&dir).await?;
        let config = self.transport(url).await?;
        resolve(&dir, &config, url, full_ref).await
    }

    /// Brings exactly one commit in, and holds it. A forge may announce a commit
    /// before it hands it out: that is waited for, but not for long.
    pub(crate) async fn fetch(&self, url: &GitUrl, wanted: &Wanted) -> Result<Mirror, GitError> {
        let limited = tokio::time::timeout(FETCH_LIMIT, self.fetch_unlimited(url, wanted)).await;
        limited.unwrap_or(Err(GitError::Timeout {
            verb: "fetch",
            limit: FETCH_LIMIT,
        }))
    }

    async fn fetch_unlimited(&self, url: &GitUrl, wanted: &Wanted) -> Result<Mirror, GitError> {
        let commit = match (&wanted.commit, &wanted.full_ref) {
            (Some(commit), _) => commit.clone(),
            (None, Some(full_ref)) => self.resolve(url, full_ref).await?,
            (None, None) => return Err(GitError::NoRef("commit".into())),
        };
        let dir = self.dir(url);
        let turn = self.lock(url).write_owned().await;
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
        Ok(Mirror {
            dir,
            commit,
            hold: Arc::new(turn.downgrade()),
        })
    }

    /// Removes a repository's mirror, once nobody reads it.
    pub(crate) async fn remove(&self, url: &GitUrl) -> Result<(), GitError> {
        let lock = self.lock(url);
        let _turn = lock.write().await;
        remove(self.dir(url)).await
    }

    fn dir(&self, url: &GitUrl) -> PathBuf {
        let hash = blake3::hash(url.mirror_key().as_bytes()).to_hex();
        self.root.join(format!("{}.git", &hash[..32]))
    }

    fn lock(&self, url: &GitUrl) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(url.mirror_key()).or_default())
    }

    /// Makes the mirror where there is none, and anew where it is broken or full.
    async fn ensure(&self, dir: &Path) -> Result<(), GitError> {
        let commits = fs::read_dir(dir.join("refs/pando")).map(Iterator::count);
        let made = dir.join("info/attributes").exists();
        if made && commits.unwrap_or(0) < MAX_COMMITS {
            return Ok(());
        }
        remove(dir.to_owned()).await?;
        fs::create_dir_all(dir).map_err(GitError::Folder)?;
        let arguments = ["init", "--quiet", "--bare", "--template="];
        Call {
            dir,
            config: &[],
            arguments: &arguments,
            limit: READ_LIMIT,
        }
        .run(0)
        .await?;
        fs::create_dir_all(dir.join("info")).map_err(GitError::Folder)?;
        // Last, and whole: its presence says that the mirror is ready.
        let temporary = dir.join("info/attributes.tmp");
        fs::write(&temporary, ATTRIBUTES).map_err(GitError::Folder)?;
        fs::hard_link(&temporary, dir.join("info/attributes")).map_err(GitError::Folder)
    }

    /// The settings with which git may reach this address, and nothing else.
    async fn transport(&self, url: &GitUrl) -> Result<Vec<String>, GitError> {
        let protocol = if url.is_plain() { "http" } else { "https" };
        let mut config = vec![format!("protocol.{protocol}.allow=always")];
        if let Some(addresses) = url.check(&self.allowed, is_proxied()).await? {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let (host, port) = (url.host(), url.port());
            config.push(format!(
                "http.curloptResolve={host}:{port}:{}",
                addresses.join(",")
            ));
        }
        Ok(config)
    }
}

async fn remove(dir: PathBuf) -> Result<(), GitError> {
    let removed = tokio::task::spawn_blocking(move || match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    });
    removed
        .await
        .map_err(io::Error::other)
        .and_then(|removed| removed)
        .map_err(GitError::Folder)
}

/// Whether the forge may just not have it yet.
fn may_lag(error: &GitError) -> bool {
    matches!(
        error,
        GitError::Failed { .. } | GitError::Moved { .. } | GitError::NoRef(_)
    )
}

fn kept_ref(commit: &str) -> String {
    format!("refs/pando/{commit}")
}

/// Whether a commit came in whole: the ref is written last.
async fn has(dir: &Path, commit: &str) -> bool {
    let name = kept_ref(commit);
    let arguments = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &name,
    ];
    Call {
        dir,
        config: &[],
        arguments: &arguments,
        limit: READ_LIMIT,
    }
    .run(1024)
    .await
    .is_ok()
}

async fn resolve(
    dir: &Path,
    config: &[String],
    url: &GitUrl,
    full_ref: &str,
) -> Result<String, GitError> {
    let url = url.to_string();
    let arguments = ["ls-remote", "--refs", "--", &url, full_ref];
    let call = Call {
        dir,
        config,
        arguments: &arguments,
        limit: READ_LIMIT,
    };
    let text = String::from_utf8_lossy(&call.run(MAX_LISTING_BYTES).await?).into_owned();
    // The pattern also fits refs that end in it.
    let found = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .find(|(_, name)| *name == full_ref);
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
        return Err(GitError::Moved {
            name,
            found,
            wanted,
        });
    }
    fetch(dir, config, url, full_ref, commit).await?;
    let name = kept_ref(commit);
    let arguments = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &name,
    ];
    let call = Call {
        dir,
        config: &[],
        arguments: &arguments,
        limit: READ_LIMIT,
    };
    let came = String::from_utf8_lossy(&call.run(1024).await?)
        .trim()
        .to_owned();
    if came == commit {
        Ok(())
    } else {
        Err(GitError::Unreadable("fetch"))
    }
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
    Call {
        dir,
        config,
        arguments: &arguments,
        limit: FETCH_LIMIT,
    }
    .run(0)
    .await
    .map(drop)
}

impl Mirror {
    /// The names in a folder of the commit, with `/` after folders; none where it is missing.
    pub(crate) async fn list(&self, folder: &str) -> Result<BTreeSet<String>, GitError> {
        let tree = self.object(folder);
        let arguments = ["ls-tree", "-z", "--end-of-options", &tree];
        let call = Call {
            dir: &self.dir,
            config: &[],
            arguments: &arguments,
            limit: READ_LIMIT,
        };
        let listing = match call.run(MAX_LISTING_BYTES).await {
            Err(GitError::Failed { .. }) => return Ok(BTreeSet::new()),
            other => other?,
        };
        let mut names = BTreeSet::new();
        for line in listing
            .split(|byte| *byte == 0)
            .filter(|line| !line.is_empty())
        {
            let line = String::from_utf8_lossy(line);
            let (facts, name) = line
                .split_once('\t')
                .ok_or(GitError::Unreadable("ls-tree"))?;
            let is_folder = facts.split(' ').nth(1) == Some("tree");
            names.insert(if is_folder {
                format!("{name}/")
            } else {
                name.to_owned()
            });
        }
        Ok(names)
    }

    /// A file of the commit.
    pub(crate) async fn read(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, GitError> {
        let blob = self.object(path);
        let arguments = ["cat-file", "blob", &blob];
        Call {
            dir: &self.dir,
            config: &[],
            arguments: &arguments,
            limit: READ_LIMIT,
        }
        .run(limit_bytes)
        .await
    }

    /// The whole tree of the commit, as a tar stream.
    pub(crate) fn tree(&self) -> Result<TreeStream, GitError> {
        let arguments = ["archive", "--format=tar", &self.commit];
        let call = Call {
            dir: &self.dir,
            config: &[],
            arguments: &arguments,
            limit: TREE_LIMIT,
        };
        let hold = Arc::clone(&self.hold);
        let stream = call.stream(MAX_TREE_BYTES)?;
        Ok(stream
            .inspect(move |_| {
                let _held = &hold;
            })
            .boxed())
    }

    /// The commit id comes first, so whatever follows cannot be read as an option.
    fn object(&self, path: &str) -> String {
        format!("{}:{path}", self.commit)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use pando_forge::{Forge, Settings};
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// What a checkout or a plain `git archive` would change or leave out.
    const ATTRIBUTES_OF_REPOSITORY: &[u8] = b"* text=auto eol=crlf\n*.txt export-subst ident working-tree-encoding=UTF-16\nsecret export-ignore\ndir export-ignore\n*.bin filter=lfs\n";
    const FILES: [(&str, &[u8]); 5] = [
        (".gitattributes", ATTRIBUTES_OF_REPOSITORY),
        ("a.txt", b"$Format:%H$ $Id$\nunix\n"),
        ("secret", b"kept\r\n"),
        ("dir/inner", b"kept too\n"),
        ("x.bin", b"\0\xff\r\n\n"),
    ];

    struct World {
        _folder: tempfile::TempDir,
        forge: Forge,
        mirrors: Mirrors,
    }

    impl World {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings::new(folder.path().join("forge"), "token");
            let forge = Forge::start(settings).await.unwrap();
            let host = forge.address().to_string().parse().unwrap();
            let mirrors = Mirrors::open(folder.path().join("mirrors"), vec![host]).unwrap();
            Self {
                _folder: folder,
                forge,
                mirrors,
            }
        }

        fn url(&self, repo: &str) -> GitUrl {
            self.mirrors
                .parse(&format!("{}/{repo}.git", self.forge.url()))
                .unwrap()
        }
    }

    async fn unpack(mirror: &Mirror, into: &Path) {
        let mut tar = tokio::process::Command::new("tar")
            .args(["-x", "-C"])
            .arg(into)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = tar.stdin.take().unwrap();
        let mut tree = mirror.tree().unwrap();
        while let Some(bytes) = tree.next().await {
            stdin.write_all(&bytes.unwrap()).await.unwrap();
        }
        drop(stdin);
        assert!(tar.wait().await.unwrap().success());
    }

    #[tokio::test]
    async fn a_tree_arrives_whole_and_byte_for_byte() {
        let world = World::new().await;
        let repo = world
            .forge
            .create_repo("acme/shop", &FILES, "main")
            .await
            .unwrap();
        let head = repo.head("main").await.unwrap();
        let mirror = world
            .mirrors
            .fetch(&world.url("acme/shop"), &Wanted::of("main", ""))
            .await
            .unwrap();
        assert_eq!(mirror.commit, head);
        let folder = tempfile::tempdir().unwrap();
        unpack(&mirror, folder.path()).await;
        for (path, bytes) in FILES {
            assert_eq!(fs::read(folder.path().join(path)).unwrap(), bytes, "{path}");
        }
        let names = mirror.list("").await.unwrap();
        assert!(
            names.contains("dir/") && names.contains("secret"),
            "{names:?}"
        );
        assert!(mirror.list("dir").await.unwrap().contains("inner"));
        assert!(mirror.list("nowhere").await.unwrap().is_empty());
        assert_eq!(mirror.read("x.bin", 100).await.unwrap(), FILES[4].1);
        assert!(matches!(
            mirror.read("x.bin", 2).await,
            Err(GitError::TooLarge { .. })
        ));
        world.forge.stop().await;
    }

    #[tokio::test]
    async fn exactly_the_commit_is_fetched_and_kept() {
        let world = World::new().await;
        let repo = world
            .forge
            .create_repo("acme/shop", &[("v", b"1")], "main")
            .await
            .unwrap();
        let first = repo.head("main").await.unwrap();
        let second = repo.push("main", &[("v", b"2")], "two").await.unwrap().sha;
        let url = world.url("acme/shop");
        for (commit, content) in [(&first, b"1"), (&second, b"2"), (&first, b"1")] {
            let mirror = world
                .mirrors
                .fetch(&url, &Wanted::of("main", commit))
                .await
                .unwrap();
            assert_eq!(&mirror.commit, commit);
            assert_eq!(mirror.read("v", 10).await.unwrap(), content);
        }
        // What is here needs no forge.
        world.forge.stop().await;
        assert!(
            world
                .mirrors
                .fetch(&url, &Wanted::of("main", &second))
                .await
                .is_ok()
        );
        world.mirrors.remove(&url).await.unwrap();
        assert!(
            world
                .mirrors
                .fetch(&url, &Wanted::of("main", ""))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn the_head_of_a_pull_request_from_a_fork_is_found() {
        let world = World::new().await;
        let repo = world
            .forge
            .create_repo("acme/shop", &[("v", b"1")], "main")
            .await
            .unwrap();
        let fork = world
            .forge
            .create_fork("acme/shop", "eve/shop")
            .await
            .unwrap();
        let head = fork.push("blue", &[("v", b"2")], "two").await.unwrap().sha;
        let pull = repo
            .open_pull_request_from_fork("eve/shop", "blue", "main", "Blue")
            .await
            .unwrap();
        let git_ref = format!("refs/pull/{}/head", pull.number);
        let mirror = world
            .mirrors
            .fetch(&world.url("acme/shop"), &Wanted::of(&git_ref, &head))
            .await
            .unwrap();
        assert_eq!(mirror.commit, head);
        world.forge.stop().await;
    }

    #[tokio::test]
    async fn a_ref_that_is_not_there_is_named() {
        let world = World::new().await;
        world
            .forge
            .create_repo("acme/shop", &[("v", b"1")], "main")
            .await
            .unwrap();
        let missing = world
            .mirrors
            .fetch(&world.url("acme/shop"), &Wanted::of("nope", ""))
            .await;
        let Err(GitError::NoRef(name)) = missing else {
            panic!("no such ref")
        };
        assert_eq!(name, "refs/heads/nope");
        world.forge.stop().await;
    }

    #[tokio::test]
    async fn a_dropped_tree_stops_git() {
        let world = World::new().await;
        let large = vec![7; 4 << 20];
        world
            .forge
            .create_repo("acme/shop", &[("large", &large)], "main")
            .await
            .unwrap();
        let mirror = world
            .mirrors
            .fetch(&world.url("acme/shop"), &Wanted::of("main", ""))
            .await
            .unwrap();
        let mut tree = mirror.tree().unwrap();
        assert!(tree.next().await.unwrap().is_ok());
        drop(tree);
        drop(mirror);
        // The mirror is held by nobody any more.
        world.mirrors.remove(&world.url("acme/shop")).await.unwrap();
        world.forge.stop().await;
    }
}
