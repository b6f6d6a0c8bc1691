//! What is fetched, kept and removed.

use std::fs;
use std::sync::Arc;

use futures_util::StreamExt;
use pando_node::garbage::{Cache, Thing};
use tokio::task::spawn_blocking;

use super::{Wanted, World};
use crate::git::{GitError, Mirrors};

const FILES: [(&str, &[u8]); 3] =
    [("secret", b"kept\r\n"), ("dir/inner", b"kept too\n"), ("x.bin", b"\0\xff\r\n\n")];

/// Off the runtime's threads, as the sweep of the disk does it.
async fn things(mirrors: &Arc<Mirrors>) -> Vec<Thing> {
    let mirrors = Arc::clone(mirrors);
    spawn_blocking(move || mirrors.things().unwrap()).await.unwrap()
}

async fn remove(mirrors: &Arc<Mirrors>, name: &str) -> bool {
    let (mirrors, name) = (Arc::clone(mirrors), name.to_owned());
    spawn_blocking(move || Cache::remove(&*mirrors, &name).unwrap()).await.unwrap()
}

#[tokio::test]
async fn names_and_heads_of_files_are_read() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &FILES, "main").await.unwrap();
    let mirror = world.fetch("acme/shop").await;
    let names = mirror.list("").await.unwrap();
    assert!(names.contains("dir/") && names.contains("secret"), "{names:?}");
    assert!(mirror.list("dir").await.unwrap().contains("inner"));
    assert!(mirror.list("nowhere").await.unwrap().is_empty());
    assert_eq!(mirror.head("x.bin", 100).await.unwrap(), FILES[2].1);
    assert_eq!(mirror.head("x.bin", 2).await.unwrap(), &FILES[2].1[..2]);
    world.forge.stop().await;
}

#[tokio::test]
async fn exactly_the_commit_is_fetched_and_kept() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let first = repo.head("main").await.unwrap();
    let second = repo.push("main", &[("v", b"2")], "two").await.unwrap().sha;
    let source = world.source("acme/shop");
    for (commit, content) in [(&first, b"1"), (&second, b"2"), (&first, b"1")] {
        let mirror = world.mirrors.fetch(&source, &Wanted::of("main", commit)).await.unwrap();
        assert_eq!(&mirror.commit, commit);
        assert_eq!(mirror.head("v", 10).await.unwrap(), content);
    }
    // What is here needs no forge.
    world.forge.stop().await;
    assert!(world.mirrors.fetch(&source, &Wanted::of("main", &second)).await.is_ok());
    world.mirrors.remove(world.org, &source.url).await.unwrap();
    assert!(world.mirrors.fetch(&source, &Wanted::of("main", "")).await.is_err());
}

#[tokio::test]
async fn the_head_of_a_pull_request_from_a_fork_is_found() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let fork = world.forge.create_fork("acme/shop", "eve/shop").await.unwrap();
    let head = fork.push("blue", &[("v", b"2")], "two").await.unwrap().sha;
    let pull = repo.open_pull_request_from_fork("eve/shop", "blue", "main", "Blue").await.unwrap();
    let git_ref = format!("refs/pull/{}/head", pull.number);
    let mirror = world
        .mirrors
        .fetch(&world.source("acme/shop"), &Wanted::of(&git_ref, &head))
        .await
        .unwrap();
    assert_eq!(mirror.commit, head);
    world.forge.stop().await;
}

#[tokio::test]
async fn a_mirror_in_which_a_git_was_killed_is_made_anew() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let (source, wanted) = (world.source("acme/shop"), Wanted::of("main", ""));
    let dir = world.mirrors.fetch(&source, &wanted).await.unwrap().dir().to_owned();
    for left in ["shallow.lock", "objects/pack/tmp_pack_x1"] {
        fs::write(dir.join(left), "").unwrap();
        assert!(world.mirrors.fetch(&source, &wanted).await.is_ok(), "{left}");
        assert!(!dir.join(left).exists());
    }
    world.forge.stop().await;
}

#[tokio::test]
async fn a_mirror_goes_unless_it_is_used_and_is_made_anew() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let (source, wanted) = (world.source("acme/shop"), Wanted::of("main", ""));
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let mirror = world.mirrors.fetch(&source, &wanted).await.unwrap();
    fs::File::open(mirror.dir()).unwrap().set_modified(long_ago).unwrap();
    let found = things(&world.mirrors).await;
    let [thing] = &found[..] else { panic!("{found:?}") };
    assert!(thing.is_used && thing.bytes > 0 && thing.last_use == long_ago);
    assert!(!remove(&world.mirrors, &thing.name).await, "it is read");
    assert_eq!(mirror.head("v", 10).await.unwrap(), b"1");

    let commit = mirror.commit.clone();
    drop(mirror);
    drop(world.mirrors.fetch(&source, &Wanted::of("main", &commit)).await.unwrap());
    let thing = things(&world.mirrors).await.remove(0);
    assert!(!thing.is_used && thing.last_use > long_ago);
    assert!(remove(&world.mirrors, &thing.name).await);
    assert!(!remove(&world.mirrors, &thing.name).await);
    assert_eq!(things(&world.mirrors).await, []);
    assert!(world.mirrors.fetch(&source, &wanted).await.is_ok());
    // Of too many, those go that nobody uses.
    world.forge.create_repo("acme/docs", &[("v", b"1")], "main").await.unwrap();
    let held = world.mirrors.fetch(&world.source("acme/docs"), &wanted).await.unwrap();
    fs::File::open(held.dir()).unwrap().set_modified(long_ago).unwrap();
    world.mirrors.keep_at_most(2).await.unwrap();
    assert_eq!(things(&world.mirrors).await.len(), 2);
    world.mirrors.keep_at_most(1).await.unwrap();
    assert!(held.dir().exists() && things(&world.mirrors).await.len() == 1);
    // A removal that was cut off is ended by the next start.
    let root = world.folder.path().join("mirrors");
    fs::rename(held.dir(), held.dir().with_extension("old")).unwrap();
    Mirrors::open(root.clone(), Vec::new(), world.kept.clone()).unwrap();
    assert_eq!(fs::read_dir(root).unwrap().count(), 0);
    world.forge.stop().await;
}

#[tokio::test]
async fn a_ref_that_is_not_there_is_named() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let missing = world.mirrors.fetch(&world.source("acme/shop"), &Wanted::of("nope", "")).await;
    let Err(GitError::NoRef(name)) = missing else { panic!("no such ref") };
    assert_eq!(name, "refs/heads/nope");
    world.forge.stop().await;
}

#[tokio::test]
async fn a_tag_is_named_like_a_branch() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let first = repo.head("main").await.unwrap();
    let work = world.clone(&repo).await;
    work.git(["tag", "light"]).await;
    work.git(["tag", "--annotate", "v1", "--message", "One"]).await;
    work.git(["push", "--quiet", "origin", "--tags"]).await;
    repo.push("main", &[("v", b"2")], "two").await.unwrap();
    for name in ["light", "v1"] {
        let mirror = world.mirrors.fetch(&world.source("acme/shop"), &Wanted::of(name, "")).await;
        assert_eq!(mirror.unwrap().commit, first, "{name}");
    }
    world.forge.stop().await;
}

#[tokio::test]
async fn a_mirror_into_which_nothing_came_does_not_stay() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let (source, wanted) = (world.source("acme/shop"), Wanted::of("main", ""));
    for (source, wanted) in
        [(&source, &Wanted::of("nope", "")), (&world.source("acme/other"), &wanted)]
    {
        assert!(world.mirrors.fetch(source, wanted).await.is_err());
        assert_eq!(things(&world.mirrors).await, []);
    }
    // One with a commit in it outlasts what fails later.
    drop(world.mirrors.fetch(&source, &wanted).await.unwrap());
    assert!(world.mirrors.fetch(&source, &Wanted::of("nope", "")).await.is_err());
    assert_eq!(things(&world.mirrors).await.len(), 1);
    // A server that ended in the first fetch leaves an empty one to the next start.
    world.mirrors.ensure("left.git").await.unwrap();
    assert_eq!(things(&world.mirrors).await.len(), 2);
    let root = world.folder.path().join("mirrors");
    let next = Mirrors::open(root, Vec::new(), world.kept.clone()).unwrap();
    assert_eq!(things(&next.into()).await.len(), 1);
    world.forge.stop().await;
}

#[tokio::test]
async fn a_dropped_tree_frees_the_mirror() {
    let world = World::new().await;
    let large = vec![7; 4 << 20];
    world.forge.create_repo("acme/shop", &[("large", &large)], "main").await.unwrap();
    let mirror = world.fetch("acme/shop").await;
    let mut tree = mirror.tree();
    assert!(tree.next().await.unwrap().is_ok());
    drop(tree);
    drop(mirror);
    // The mirror is held by nobody any more.
    world.mirrors.remove(world.org, &world.url("acme/shop")).await.unwrap();
    world.forge.stop().await;
}
