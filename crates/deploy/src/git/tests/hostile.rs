//! Repositories that want to be more than files.

use std::fs;
use std::path::Path;

use super::{Wanted, World, git, unpack};

/// Makes a commit of trees that git would not write by itself, and pushes it by hand.
async fn push_tree(world: &World, name: &str, entry: &[u8]) -> String {
    let bare = world.folder.path().join("forge/repositories").join(format!("{name}.git"));
    let tree = git_object(&bare, "tree", entry).await;
    let commit = git(&bare, ["commit-tree", &tree, "-m", "Evil"], b"").await;
    git(&bare, ["update-ref", "refs/heads/main", &commit], b"").await;
    commit
}

async fn git_object(bare: &Path, kind: &str, bytes: &[u8]) -> String {
    git(bare, ["hash-object", "-w", "--literally", "-t", kind, "--stdin"], bytes).await
}

fn tree_entry(mode: &str, name: &str, id: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&id[at..at + 2], 16).unwrap();
    let id: Vec<u8> = (0..40).step_by(2).map(pair).collect();
    [format!("{mode} {name}\0").as_bytes(), &id].concat()
}

#[tokio::test]
async fn a_tree_with_a_repository_of_its_own_or_a_way_out_is_refused() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let bare = world.folder.path().join("forge/repositories/acme/shop.git");
    let blob = git_object(&bare, "blob", b"[core]\n\tfsmonitor = touch /tmp/pando-owned\n").await;
    let inner = git_object(&bare, "tree", &tree_entry("100644", "config", &blob)).await;
    let link = git_object(&bare, "blob", b"/etc").await;
    let twice = [tree_entry("120000", "a", &link), tree_entry("40000", "a", &inner)].concat();
    for entry in [
        tree_entry("40000", ".git", &inner),
        tree_entry("40000", ".GIT", &inner),
        tree_entry("120000", ".git", &link),
        tree_entry("100644", ".git", &blob),
        tree_entry("40000", "git~1", &inner),
        tree_entry("40000", "..", &inner),
        tree_entry("100644", "a/../../b", &blob),
        tree_entry("120000", ".gitmodules", &link),
        twice,
    ] {
        let commit = push_tree(&world, "acme/shop", &entry).await;
        let wanted = Wanted::of("main", &commit);
        let refused = world.mirrors.fetch(&world.source("acme/shop"), &wanted).await;
        let refused = refused.err().unwrap().to_string();
        let entry = String::from_utf8_lossy(&entry);
        assert!(refused.contains("fsck error"), "{entry}: {refused}");
    }
    assert!(!Path::new("/tmp/pando-owned").exists());
    world.forge.stop().await;
}

#[tokio::test]
async fn a_tree_of_ten_thousand_million_files_is_refused_at_once() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let bare = world.folder.path().join("forge/repositories/acme/shop.git");
    let mut id = git_object(&bare, "blob", b"x").await;
    let mut mode = "100644";
    for _ in 0..10 {
        let ten: Vec<_> = (0..10).map(|at| tree_entry(mode, &format!("d{at}"), &id)).collect();
        (id, mode) = (git_object(&bare, "tree", &ten.concat()).await, "40000");
    }
    let commit = push_tree(&world, "acme/shop", &tree_entry(mode, "d", &id)).await;
    let wanted = Wanted::of("main", &commit);
    let refused = world.mirrors.fetch(&world.source("acme/shop"), &wanted).await.err().unwrap();
    assert_eq!(refused.to_string(), "the list of the tree's files is larger than 64 MiB");
    world.forge.stop().await;
}

#[tokio::test]
async fn a_tree_that_no_sandbox_takes_is_refused_before_there_is_one() {
    let world = World::new().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let bare = world.folder.path().join("forge/repositories/acme/shop.git");
    let id = git_object(&bare, "blob", &vec![0; 8 << 20]).await;
    let tree = |files: usize| -> Vec<u8> {
        (0..files).flat_map(|at| tree_entry("100644", &format!("f{at:03}"), &id)).collect()
    };
    let source = world.source("acme/shop");
    let commit = push_tree(&world, "acme/shop", &tree(256)).await;
    assert!(world.mirrors.fetch(&source, &Wanted::of("main", &commit)).await.is_ok());
    let commit = push_tree(&world, "acme/shop", &tree(257)).await;
    let refused = world.mirrors.fetch(&source, &Wanted::of("main", &commit)).await.err().unwrap();
    assert_eq!(refused.to_string(), "the tree is larger than 2048 MiB");
    world.forge.stop().await;
}

#[tokio::test]
async fn a_link_is_the_file_that_it_leads_to_and_never_one_of_the_host() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let work = world.clone(&repo).await;
    work.write("deploy/pando.toml", "port = 3000\n");
    let links = [
        ("pando.toml", "deploy/pando.toml"),
        ("again", "pando.toml"),
        ("deploy/up", "../v"),
        ("folder", "deploy"),
        ("loop", "loop"),
        ("gone", "nowhere"),
        ("out", "/etc/hostname"),
        ("above", "../../../../../../../../etc/hostname"),
    ];
    for (name, target) in links {
        std::os::unix::fs::symlink(target, work.path.join(name)).unwrap();
    }
    work.commit_and_push().await;
    let mirror = world.fetch("acme/shop").await;
    for (path, content) in [
        ("v", "1"),
        ("pando.toml", "port = 3000\n"),
        ("again", "port = 3000\n"),
        ("deploy/up", "1"),
        ("folder", "deploy"),
        ("loop", "loop"),
        ("gone", "nowhere"),
        ("out", "/etc/hostname"),
        ("above", "../../../../../../../../etc/hostname"),
    ] {
        let read = mirror.head(path, 100).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&read), content, "{path}");
    }
    world.forge.stop().await;
}

#[tokio::test]
async fn nothing_of_a_repository_is_run_or_followed() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let work = world.clone(&repo).await;
    let evil = "touch /tmp/pando-ran";
    work.write(".gitattributes", "* filter=evil diff=evil merge=evil export-subst\n");
    let config = format!(
        "[filter \"evil\"]\n\tsmudge = {evil}\n\tclean = {evil}\n[diff \"evil\"]\n\ttextconv = {evil}\n[include]\n\tpath = /etc/passwd\n[submodule \"x\"]\n\tpath = x\n\turl = https://x.invalid/a/b\n\tupdate = !{evil}\n"
    );
    work.write(".gitconfig", &config);
    work.write(".lfsconfig", format!("[lfs]\n\turl = https://169.254.169.254/\n{config}"));
    for hook in ["post-checkout", "pre-commit", "post-merge"] {
        work.write(format!("hooks/{hook}"), format!("#!/bin/sh\n{evil}\n"));
    }
    work.commit_and_push().await;
    let mirror = world.fetch("acme/shop").await;
    let there = unpack(&mirror).await;
    assert_eq!(there.git(["status", "--porcelain"]).await, "");
    assert_eq!(fs::read(there.path.join("hooks/pre-commit")).unwrap().len(), 10 + evil.len() + 1);
    let config = fs::read_to_string(there.path.join(".git/config")).unwrap();
    assert!(!config.contains("evil") && !config.contains("remote"));
    assert!(!Path::new("/tmp/pando-ran").exists());
    world.forge.stop().await;
}

#[tokio::test]
async fn names_of_branches_and_refs_are_no_options_and_no_commands() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let head = repo.head("main").await.unwrap();
    for branch in
        ["$(touch${IFS}/tmp/pando-b)", "a;touch/tmp/pando-b", "`id`", "'x'", "a|b&c", "%2e%2e"]
    {
        repo.push(branch, &[("b", branch.as_bytes())], "x").await.unwrap();
        let wanted = Wanted::of(branch, "");
        let mirror = world.mirrors.fetch(&world.source("acme/shop"), &wanted).await.unwrap();
        let there = unpack(&mirror).await;
        assert_eq!(there.git(["branch", "--show-current"]).await, branch);
        assert_eq!(there.git(["status", "--porcelain"]).await, "");
    }
    for name in ["--upload-pack=touch /tmp/pando-b", "-u", "refs/heads/../../x", "a\nb"] {
        let wanted = Wanted { full_ref: Some(name.into()), ..Wanted::of("main", "") };
        assert!(world.mirrors.fetch(&world.source("acme/shop"), &wanted).await.is_err(), "{name}");
        let wanted = Wanted { branch: Some(name.into()), ..Wanted::of("main", &head) };
        assert!(world.mirrors.fetch(&world.source("acme/shop"), &wanted).await.is_err(), "{name}");
    }
    assert!(!Path::new("/tmp/pando-b").exists());
    world.forge.stop().await;
}
