//! Submodules: found, fetched, put in their place, or refused by name.

use std::collections::BTreeSet;

use super::{Wanted, Work, World, git, unpack};
use crate::git::GitError;

/// Puts a commit of another repository into a folder, as `git submodule add` would.
async fn add(work: &Work, path: &str, url: &str, commit: &str) {
    let file = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
    let known = std::fs::read_to_string(work.path.join(".gitmodules")).unwrap_or_default();
    work.write(".gitmodules", known + &file);
    let entry = format!("160000,{commit},{path}");
    work.git(["update-index", "--add", "--cacheinfo", &entry]).await;
    work.git(["add", ".gitmodules"]).await;
}

async fn commit_and_push(work: &Work) -> String {
    work.git(["commit", "--quiet", "--message", "More"]).await;
    work.git(["push", "--quiet", "origin", "HEAD"]).await;
    work.git(["rev-parse", "HEAD"]).await
}

async fn failure(world: &World) -> String {
    let failed = world.mirrors.fetch(&world.source("acme/shop"), &Wanted::of("main", "")).await;
    failed.err().unwrap().to_string()
}

#[tokio::test]
async fn submodules_come_along_at_their_commits_and_each_others() {
    let world = World::new().await;
    let lib = world.forge.create_repo("acme/lib", &[("f", b"old")], "main").await.unwrap();
    let old = lib.head("main").await.unwrap();
    lib.push("main", &[("f", b"new"), ("more", b"x")], "new").await.unwrap();
    let mid = world.forge.create_repo("acme/mid", &[("m", b"mid")], "main").await.unwrap();
    let mid_work = world.clone(&mid).await;
    add(&mid_work, "deep/lib", "../lib.git", &old).await;
    let mid_head = commit_and_push(&mid_work).await;
    let shop = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let work = world.clone(&shop).await;
    add(&work, "vendor/mid", &mid.clone_url(), &mid_head).await;
    add(&work, "own", "./../shop", &shop.head("main").await.unwrap()).await;
    // Nobody says where this one is.
    let entry = format!("160000,{old},lost");
    work.git(["update-index", "--add", "--cacheinfo", &entry]).await;
    commit_and_push(&work).await;

    let mirror = world.fetch("acme/shop").await;
    let listed: Vec<String> =
        mirror.listing().into_iter().map(|entry| String::from_utf8(entry.path).unwrap()).collect();
    let files = [".gitmodules", "lost", "v", "vendor/mid/.gitmodules", "vendor/mid/m", "own/v"];
    let all = files.into_iter().chain(["vendor/mid/deep/lib/f"]);
    assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), all.collect());
    assert_eq!(listed.len(), 7);
    let there = unpack(&mirror).await;
    let read = |name: &str| std::fs::read_to_string(there.path.join(name)).unwrap();
    assert_eq!((read("v"), read("own/v")), ("1".into(), "1".into()));
    assert_eq!(read("vendor/mid/m"), "mid");
    assert_eq!(read("vendor/mid/deep/lib/f"), "old");
    assert!(!there.path.join("vendor/mid/deep/lib/more").exists());
    assert_eq!(std::fs::read_dir(there.path.join("lost")).unwrap().count(), 0);
    assert_eq!(there.git(["status", "--porcelain"]).await, "");
    drop(mirror);

    // Offline, all is here.
    let commit = work.git(["rev-parse", "HEAD"]).await;
    let (source, wanted) = (world.source("acme/shop"), Wanted::of("main", &commit));
    world.forge.stop().await;
    assert!(world.mirrors.fetch(&source, &wanted).await.is_ok());
}

#[tokio::test]
async fn two_that_are_each_others_wait_for_nobody() {
    let world = World::new().await;
    let one = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let two = world.forge.create_repo("acme/two", &[("v", b"2")], "main").await.unwrap();
    let (first, second) = (one.head("main").await.unwrap(), two.head("main").await.unwrap());
    let (one_work, two_work) = (world.clone(&one).await, world.clone(&two).await);
    add(&one_work, "two", "../two", &second).await;
    add(&two_work, "one", "../shop", &first).await;
    commit_and_push(&one_work).await;
    commit_and_push(&two_work).await;
    let sources = [world.source("acme/shop"), world.source("acme/two")];
    let wanted = Wanted::of("main", "");
    for _ in 0..5 {
        let (one, two) = tokio::join!(
            world.mirrors.fetch(&sources[0], &wanted),
            world.mirrors.fetch(&sources[1], &wanted),
        );
        assert!(one.is_ok() && two.is_ok());
    }
    world.forge.stop().await;
}

#[tokio::test]
async fn one_that_cannot_be_had_is_named_with_why() {
    let world = World::new().await;
    let shop = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let commit = shop.head("main").await.unwrap();
    let work = world.clone(&shop).await;
    for (url, why) in [
        ("file:///etc", "is named as https"),
        ("/etc", "is named as https"),
        ("ext::sh -c 'touch /tmp/pando-owned' #", "is named as https"),
        ("--upload-pack=touch /tmp/pando-owned", "is named as https"),
        ("-u./evil", "is named as https"),
        ("../../../../../etc", "is named as https"),
        ("ssh://-oProxyCommand=touch${IFS}/tmp/pando-owned/x", "is named as https"),
        ("https://me:secret@127.0.0.1/a/b", "no user or password"),
        ("https://127.0.0.1/a/b", "not a public address"),
        ("https://localhost/a/b", "not a public address"),
        ("https://169.254.169.254/latest/meta-data", "not a public address"),
        ("http://192.0.2.1/a/b", "only be reached over https"),
        ("git@127.0.0.1:a/b", "not a public address"),
        ("../nowhere", "failed"),
    ] {
        work.git(["reset", "--quiet", "--hard", &commit]).await;
        let _ = std::fs::remove_file(work.path.join(".gitmodules"));
        add(&work, "sub", &url.replace(['#', '\''], "x"), &"1".repeat(40)).await;
        work.git(["commit", "--quiet", "--message", "More"]).await;
        work.git(["push", "--quiet", "--force", "origin", "HEAD"]).await;
        let said = failure(&world).await;
        // git itself knows some of them for what they are.
        let is_known = said.contains("disallowed submodule url");
        let is_named = said.starts_with("submodule `sub` (") && said.contains(why);
        assert!(is_known || is_named, "{url}: {said}");
    }
    assert!(!std::path::Path::new("/tmp/pando-owned").exists());
    world.forge.stop().await;
}

#[tokio::test]
async fn neither_too_many_nor_too_deep_ones_are_fetched() {
    let world = World::new().await;
    let shop = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let first = shop.head("main").await.unwrap();
    let work = world.clone(&shop).await;
    for number in 0..=super::super::submodule::MAX_SUBMODULES {
        add(&work, &format!("sub/{number}"), "./../shop", &first).await;
    }
    commit_and_push(&work).await;
    assert_eq!(failure(&world).await, "there are more than 64 submodules");
    // Each holds the one before it.
    work.git(["reset", "--quiet", "--hard", &first]).await;
    let mut commit = first;
    for _ in 0..=super::super::submodule::MAX_DEPTH {
        work.git(["rm", "--quiet", "--cached", "--ignore-unmatch", ".gitmodules"]).await;
        let _ = std::fs::remove_file(work.path.join(".gitmodules"));
        add(&work, "in", "./../shop", &commit).await;
        commit = {
            work.git(["commit", "--quiet", "--message", "More"]).await;
            work.git(["push", "--quiet", "--force", "origin", "HEAD"]).await;
            work.git(["rev-parse", "HEAD"]).await
        };
    }
    let said = failure(&world).await;
    assert!(said.contains("more than 5 submodules in each other"), "{said}");
    world.forge.stop().await;
}

#[tokio::test]
async fn one_that_is_left_out_stays_empty() {
    let world = World::new().await;
    let shop = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let work = world.clone(&shop).await;
    add(&work, "sub", "https://127.0.0.1/a/b", &"1".repeat(40)).await;
    let file = work.path.join(".gitmodules");
    git(
        &work.path,
        ["config", "--file", file.to_str().unwrap(), "submodule.sub.update", "none"],
        b"",
    )
    .await;
    work.git(["add", ".gitmodules"]).await;
    commit_and_push(&work).await;
    let there = unpack(&world.fetch("acme/shop").await).await;
    assert_eq!(std::fs::read_dir(there.path.join("sub")).unwrap().count(), 0);
    let missing = world.mirrors.fetch(&world.source("acme/none"), &Wanted::of("main", "")).await;
    assert!(!matches!(missing.err().unwrap(), GitError::Submodule { .. }));
    world.forge.stop().await;
}
