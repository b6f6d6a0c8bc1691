//! Mirrors against a real forge on this machine.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use futures_util::StreamExt;
use pando_forge::{Forge, Settings};
use pando_node::garbage::Cache;
use tokio::io::AsyncWriteExt;

use super::{GitError, GitUrl, Mirror, Mirrors, Wanted};

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
    folder: tempfile::TempDir,
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
        Self { folder, forge, mirrors }
    }

    fn url(&self, repo: &str) -> GitUrl {
        self.mirrors.parse(&format!("{}/{repo}.git", self.forge.url())).unwrap()
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
    let repo = world.forge.create_repo("acme/shop", &FILES, "main").await.unwrap();
    let head = repo.head("main").await.unwrap();
    let mirror =
        world.mirrors.fetch(&world.url("acme/shop"), &Wanted::of("main", "")).await.unwrap();
    assert_eq!(mirror.commit, head);
    let folder = tempfile::tempdir().unwrap();
    unpack(&mirror, folder.path()).await;
    for (path, bytes) in FILES {
        assert_eq!(fs::read(folder.path().join(path)).unwrap(), bytes, "{path}");
    }
    let names = mirror.list("").await.unwrap();
    assert!(names.contains("dir/") && names.contains("secret"), "{names:?}");
    assert!(mirror.list("dir").await.unwrap().contains("inner"));
    assert!(mirror.list("nowhere").await.unwrap().is_empty());
    assert_eq!(mirror.head("x.bin", 100).await.unwrap(), FILES[4].1);
    assert_eq!(mirror.head("x.bin", 2).await.unwrap(), &FILES[4].1[..2]);
    world.forge.stop().await;
}

#[tokio::test]
async fn exactly_the_commit_is_fetched_and_kept() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let first = repo.head("main").await.unwrap();
    let second = repo.push("main", &[("v", b"2")], "two").await.unwrap().sha;
    let url = world.url("acme/shop");
    for (commit, content) in [(&first, b"1"), (&second, b"2"), (&first, b"1")] {
        let mirror = world.mirrors.fetch(&url, &Wanted::of("main", commit)).await.unwrap();
        assert_eq!(&mirror.commit, commit);
        assert_eq!(mirror.head("v", 10).await.unwrap(), content);
    }
    // What is here needs no forge.
    world.forge.stop().await;
    assert!(world.mirrors.fetch(&url, &Wanted::of("main", &second)).await.is_ok());
    world.mirrors.remove(&url).await.unwrap();
    assert!(world.mirrors.fetch(&url, &Wanted::of("main", "")).await.is_err());
}

#[tokio::test]
async fn the_head_of_a_pull_request_from_a_fork_is_found() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let fork = world.forge.create_fork("acme/shop", "eve/shop").await.unwrap();
    let head = fork.push("blue", &[("v", b"2")], "two").await.unwrap().sha;
    let pull = repo.open_pull_request_from_fork("eve/shop", "blue", "main", "Blue").await.unwrap();
    let git_ref = format!("refs/pull/{}/head", pull.number);
    let mirror =
        world.mirrors.fetch(&world.url("acme/shop"), &Wanted::of(&git_ref, &head)).await.unwrap();
    assert_eq!(mirror.commit, head);
    world.forge.stop().await;
}

#[tokio::test]
async fn a_mirror_in_which_a_git_was_killed_is_made_anew() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let (url, wanted) = (world.url("acme/shop"), Wanted::of("main", ""));
    let dir = world.mirrors.fetch(&url, &wanted).await.unwrap().dir.clone();
    for left in ["shallow.lock", "objects/pack/tmp_pack_x1"] {
        fs::write(dir.join(left), "").unwrap();
        assert!(world.mirrors.fetch(&url, &wanted).await.is_ok(), "{left}");
        assert!(!dir.join(left).exists());
    }
    world.forge.stop().await;
}

#[tokio::test]
async fn a_mirror_goes_unless_it_is_used_and_is_made_anew() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let (url, wanted) = (world.url("acme/shop"), Wanted::of("main", ""));
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let mirror = world.mirrors.fetch(&url, &wanted).await.unwrap();
    fs::File::open(&mirror.dir).unwrap().set_modified(long_ago).unwrap();
    let things = world.mirrors.things().unwrap();
    let [thing] = &things[..] else { panic!("{things:?}") };
    assert!(thing.is_used && thing.bytes > 0 && thing.last_use == long_ago);
    assert!(!Cache::remove(&world.mirrors, &thing.name).unwrap(), "it is read");
    assert_eq!(mirror.head("v", 10).await.unwrap(), b"1");

    let commit = mirror.commit.clone();
    drop(mirror);
    drop(world.mirrors.fetch(&url, &Wanted::of("main", &commit)).await.unwrap());
    let thing = world.mirrors.things().unwrap().remove(0);
    assert!(!thing.is_used && thing.last_use > long_ago);
    assert!(Cache::remove(&world.mirrors, &thing.name).unwrap());
    assert!(!Cache::remove(&world.mirrors, &thing.name).unwrap());
    assert_eq!(world.mirrors.things().unwrap(), []);
    assert!(world.mirrors.fetch(&url, &wanted).await.is_ok());
    // Of too many, those go that nobody uses.
    world.forge.create_repo("acme/docs", &[("v", b"1")], "main").await.unwrap();
    let held = world.mirrors.fetch(&world.url("acme/docs"), &wanted).await.unwrap();
    fs::File::open(&held.dir).unwrap().set_modified(long_ago).unwrap();
    world.mirrors.keep_at_most(2).unwrap();
    assert_eq!(world.mirrors.things().unwrap().len(), 2);
    world.mirrors.keep_at_most(1).unwrap();
    assert!(held.dir.exists() && world.mirrors.things().unwrap().len() == 1);
    // A removal that was cut off is ended by the next start.
    let root = world.folder.path().join("mirrors");
    fs::rename(&held.dir, held.dir.with_extension("old")).unwrap();
    Mirrors::open(root.clone(), Vec::new()).unwrap();
    assert_eq!(fs::read_dir(root).unwrap().count(), 0);
    world.forge.stop().await;
}

#[tokio::test]
async fn a_ref_that_is_not_there_is_named() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let missing = world.mirrors.fetch(&world.url("acme/shop"), &Wanted::of("nope", "")).await;
    let Err(GitError::NoRef(name)) = missing else { panic!("no such ref") };
    assert_eq!(name, "refs/heads/nope");
    world.forge.stop().await;
}

#[tokio::test]
async fn a_dropped_tree_frees_the_mirror() {
    let world = World::new().await;
    let large = vec![7; 4 << 20];
    world.forge.create_repo("acme/shop", &[("large", &large)], "main").await.unwrap();
    let mirror =
        world.mirrors.fetch(&world.url("acme/shop"), &Wanted::of("main", "")).await.unwrap();
    let mut tree = mirror.tree().unwrap();
    assert!(tree.next().await.unwrap().is_ok());
    drop(tree);
    drop(mirror);
    // The mirror is held by nobody any more.
    world.mirrors.remove(&world.url("acme/shop")).await.unwrap();
    world.forge.stop().await;
}
