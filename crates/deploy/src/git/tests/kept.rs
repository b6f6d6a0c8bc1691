//! What a live deployment needs outlasts its forge.

use std::fs;

use pando_node::garbage::Cache;
use tokio::task::spawn_blocking;

use super::{Wanted, World, unpack};

#[tokio::test]
async fn a_live_commit_outlasts_a_force_push_and_many_others() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"0")], "main").await.unwrap();
    let work = world.clone(&repo).await;
    let source = world.source("acme/shop");
    let first = repo.head("main").await.unwrap();
    let live = world.mirrors.fetch(&source, &Wanted::of("main", &first)).await.unwrap();
    let dir = live.dir().to_owned();
    drop(live);
    world.keep(&source, &first);
    let mut spare = String::new();
    for number in 1..=70 {
        work.write("v", number.to_string());
        work.git(["commit", "--quiet", "--all", "--amend", "--message", "Again"]).await;
        if number == 1 {
            spare = work.git(["rev-parse", "HEAD"]).await;
        }
        let head = work.git(["rev-parse", "HEAD"]).await;
        work.git(["push", "--quiet", "--force", "origin", "HEAD"]).await;
        drop(world.mirrors.fetch(&source, &Wanted::of("main", &head)).await.unwrap());
    }
    let kept = |commit: &str| dir.join("refs/pando").join(commit).exists();
    assert!(kept(&first) && !kept(&spare));
    assert!(fs::read_dir(dir.join("refs/pando")).unwrap().count() < 30);
    assert!(super::git(&dir, ["cat-file", "-t", &first], b"").await == "commit");
    super::git(&dir, ["fsck", "--connectivity-only"], b"").await;
    // Its forge has forgotten it, and is gone.
    world.forge.stop().await;
    let again = world.mirrors.fetch(&source, &Wanted::of("main", &first)).await.unwrap();
    let there = unpack(&again).await;
    assert_eq!(fs::read(there.path.join("v")).unwrap(), b"0");
    assert_eq!(there.git(["status", "--porcelain"]).await, "");
}

#[tokio::test]
async fn a_mirror_that_an_app_needs_stays_when_the_disk_is_short() {
    let world = World::new().await;
    let lib = world.forge.create_repo("acme/lib", &[("f", b"lib")], "main").await.unwrap();
    let shop = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    world.forge.create_repo("acme/idle", &[("v", b"1")], "main").await.unwrap();
    let work = world.clone(&shop).await;
    work.write(".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib\n");
    let entry = format!("160000,{},lib", lib.head("main").await.unwrap());
    work.git(["update-index", "--add", "--cacheinfo", &entry]).await;
    work.git(["add", ".gitmodules"]).await;
    work.git(["commit", "--quiet", "--message", "More"]).await;
    work.git(["push", "--quiet", "origin", "HEAD"]).await;
    let mirror = world.fetch("acme/shop").await;
    world.keep(&world.source("acme/shop"), &mirror.commit);
    let commit = mirror.commit.clone();
    drop(mirror);
    drop(world.fetch("acme/idle").await);
    let mirrors = world.mirrors.clone();
    let removed = spawn_blocking(move || {
        let things = mirrors.things().unwrap();
        assert_eq!(things.iter().filter(|thing| thing.is_used).count(), 2);
        things.iter().filter(|thing| Cache::remove(&*mirrors, &thing.name).unwrap()).count()
    });
    assert_eq!(removed.await.unwrap(), 1);
    world.mirrors.keep_at_most(0).await.unwrap();
    let (source, wanted) = (world.source("acme/shop"), Wanted::of("main", &commit));
    world.forge.stop().await;
    assert!(world.mirrors.fetch(&source, &wanted).await.is_ok());
}
