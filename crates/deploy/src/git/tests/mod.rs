//! Mirrors against real forges on this machine.

mod access;
mod gate;
mod hostile;
mod kept;
mod lfs;
mod mirrors;
mod redirect;
mod ssh;
mod submodules;
mod tree;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt;
use pando_forge::{Forge, Repo, Settings};
use pando_store::{KeptCommit, StoreError};
use pando_types::OrgId;
use tokio::io::AsyncWriteExt;

use super::keep::Keeps;
use super::{Credential, GitUrl, HostPort, Mirror, Mirrors, Source, Wanted};
use crate::Secret;

/// What git of a test knows: nothing of this machine's settings.
const PLAIN: [(&str, &str); 7] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_AUTHOR_NAME", "Test"),
    ("GIT_AUTHOR_EMAIL", "test@pando.invalid"),
    ("GIT_COMMITTER_NAME", "Test"),
    ("GIT_COMMITTER_EMAIL", "test@pando.invalid"),
    ("GIT_ALLOW_PROTOCOL", "file:http"),
];

struct World {
    folder: tempfile::TempDir,
    forge: Forge,
    org: OrgId,
    kept: Arc<Rows>,
    mirrors: Arc<Mirrors>,
}

/// The commits that apps need.
#[derive(Default)]
struct Rows(Mutex<Vec<KeptCommit>>);

#[async_trait]
impl Keeps for Rows {
    async fn kept(&self) -> Result<Vec<KeptCommit>, StoreError> {
        Ok(self.0.lock().unwrap().clone())
    }
}

impl World {
    async fn new() -> Self {
        Self::allowing(&[]).await
    }

    /// With more hosts that may be reached.
    async fn allowing(more: &[&str]) -> Self {
        // Its path is a repository's over ssh, and no part of one begins with a dot.
        let folder = tempfile::Builder::new().prefix("pando-git-").tempdir().unwrap();
        let settings = Settings::new(folder.path().join("forge"), "token");
        let forge = Forge::start(settings).await.unwrap();
        let own = forge.address().to_string();
        let hosts = std::iter::once(own.as_str()).chain(more.iter().copied());
        let hosts: Vec<HostPort> = hosts.map(|host| host.parse().unwrap()).collect();
        let kept = Arc::new(Rows::default());
        let keeps = Arc::clone(&kept);
        let mirrors = Mirrors::open(folder.path().join("mirrors"), hosts, keeps).unwrap();
        Self { folder, forge, org: OrgId::new(), kept, mirrors: mirrors.into() }
    }

    fn url(&self, repo: &str) -> GitUrl {
        self.mirrors.parse(&format!("{}/{repo}.git", self.forge.url())).unwrap()
    }

    /// A repository of the forge, as the org of this test reads it.
    fn source(&self, repo: &str) -> Source {
        Source::new(self.url(repo), self.org, None)
    }

    fn with_token(&self, url: GitUrl, token: &str) -> Source {
        Source::new(url, self.org, Some(Credential::Token(Secret::new(token))))
    }

    /// Says that an app has been live with that commit.
    fn keep(&self, source: &Source, commit: &str) {
        self.kept.0.lock().unwrap().push(KeptCommit {
            org: source.org,
            git_url: source.url.to_string(),
            has_git_token: source.has_credential(),
            has_deploy_key: source.has_credential(),
            commit: commit.to_owned(),
        });
    }

    /// A clone of a repository of the forge to commit in.
    async fn clone(&self, repo: &Repo) -> Work {
        let path = self.folder.path().join("work").join(repo.name().name());
        std::fs::create_dir_all(&path).unwrap();
        let work = Work { path };
        work.git(["clone", "--quiet", &repo.clone_url(), "."]).await;
        work
    }

    async fn fetch(&self, repo: &str) -> Mirror {
        self.mirrors.fetch(&self.source(repo), &Wanted::of("main", "")).await.unwrap()
    }
}

/// A folder with a repository in it.
struct Work {
    path: PathBuf,
}

impl Work {
    /// What git says; it must succeed.
    async fn git<const N: usize>(&self, arguments: [&str; N]) -> String {
        git(&self.path, arguments, b"").await
    }

    fn write(&self, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) {
        let path = self.path.join(Path::new(name.as_ref()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    async fn commit_and_push(&self) -> String {
        self.git(["add", "--all", "--force"]).await;
        self.git(["commit", "--quiet", "--message", "More"]).await;
        self.git(["push", "--quiet", "origin", "HEAD"]).await;
        self.git(["rev-parse", "HEAD"]).await
    }
}

async fn git<const N: usize>(folder: &Path, arguments: [&str; N], input: &[u8]) -> String {
    let mut child = tokio::process::Command::new("git")
        .current_dir(folder)
        .envs(PLAIN)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    let done = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "git {arguments:?}: {said}");
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}

/// Unpacks as a sandbox does.
async fn unpack(mirror: &Mirror) -> Work {
    let folder = tempfile::tempdir().unwrap().keep();
    let mut tar = tokio::process::Command::new("tar")
        .args(["-x", "--no-same-owner", "-C"])
        .arg(&folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = tar.stdin.take().unwrap();
    let mut tree = mirror.tree();
    while let Some(bytes) = tree.next().await {
        stdin.write_all(&bytes.unwrap()).await.unwrap();
    }
    drop(stdin);
    assert!(tar.wait().await.unwrap().success());
    Work { path: folder }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
