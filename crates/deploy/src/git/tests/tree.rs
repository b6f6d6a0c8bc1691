//! A tree and its small repository, with a real git at both ends.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{Wanted, World, unpack};

/// What a checkout or a plain `git archive` would change or leave out.
const ATTRIBUTES: &[u8] = b"* text=auto eol=crlf\n*.txt export-subst ident\n*.wide working-tree-encoding=UTF-16\nsecret export-ignore\ndir export-ignore\n*.bin filter=other\n*.dos text eol=lf\n";

/// Each path below a folder but those in `.git`: its kind and what is in it.
fn all(folder: &Path) -> BTreeMap<Vec<u8>, (char, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().as_os_str().as_bytes().to_owned();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let known = if metadata.is_symlink() {
                ('l', fs::read_link(&path).unwrap().into_os_string().into_vec())
            } else if metadata.is_dir() {
                if name == b".git" {
                    continue;
                }
                folders.push(path);
                ('d', Vec::new())
            } else {
                let letter = if metadata.permissions().mode() & 0o111 == 0 { 'f' } else { 'x' };
                (letter, fs::read(&path).unwrap())
            };
            found.insert(name, known);
        }
    }
    found
}

#[tokio::test]
async fn a_tree_arrives_byte_for_byte_and_git_finds_it_clean() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let work = world.clone(&repo).await;
    let long = "long/".repeat(40) + "name";
    for (name, bytes) in [
        (&b".gitattributes"[..], ATTRIBUTES),
        (b"a.txt", b"$Format:%H$ $Id$\nunix\n"),
        (b"secret", b"kept\r\n"),
        (b"dir/inner", b"kept too\n"),
        (b"x.bin", b"\0\xff\r\n\n"),
        (b"a.wide", b"not wide"),
        (b"a.dos", b"one\r\ntwo\r\n"),
        (b"empty", b""),
        (long.as_bytes(), &[0; 3 * 512]),
        (b"in\xffvalid \xc3\x28", b"odd"),
        (b"two\nlines", b"odd"),
        (b"-rf", b"odd"),
        (b" sp ace ", b"odd"),
        (b"back\\slash \"quote' \x01", b"odd"),
        ("\u{fc}ber/\u{1f333}".as_bytes(), b"odd"),
    ] {
        work.write(std::ffi::OsStr::from_bytes(name), bytes);
    }
    work.write("run", "#!/bin/sh\n");
    fs::set_permissions(work.path.join("run"), PermissionsExt::from_mode(0o755)).unwrap();
    for (name, target) in
        [("link", "dir/inner"), ("away", "/etc/passwd"), ("up", "../.."), ("far", long.as_str())]
    {
        symlink(target, work.path.join(name)).unwrap();
    }
    symlink("deep/".repeat(50), work.path.join("long link")).unwrap();
    work.git(["config", "core.autocrlf", "false"]).await;
    // As they are, whatever the attributes would make of them on the way in.
    work.write(".git/info/attributes", "* -text -ident -filter !working-tree-encoding\n");
    let head = work.commit_and_push().await;

    let mirror = world.fetch("acme/shop").await;
    assert_eq!(mirror.commit, head);
    let there = unpack(&mirror).await;
    assert_eq!(all(&there.path), all(&work.path));
    assert_eq!(there.git(["status", "--porcelain", "--ignored"]).await, "");
    assert_eq!(there.git(["rev-parse", "HEAD"]).await, head);
    assert_eq!(there.git(["branch", "--show-current"]).await, "main");
    assert_eq!(there.git(["describe", "--always"]).await, head[..7]);
    assert_eq!(there.git(["describe", "--always", "--dirty"]).await, head[..7]);
    assert_eq!(there.git(["rev-list", "--count", "HEAD"]).await, "1");
    assert_eq!(there.git(["fsck", "--strict", "--full"]).await, "");
    assert_eq!(there.git(["remote"]).await, "");
    let hooks = there.path.join(".git/hooks");
    assert!(!hooks.exists() && !there.path.join(".git/logs").exists());
    // It is a repository like any other: husky sets itself up, things change, are put back.
    there.git(["config", "core.hooksPath", ".husky/_"]).await;
    there.write("dir/inner", "changed\n");
    assert_eq!(there.git(["status", "--porcelain"]).await, " M dir/inner");
    there.git(["stash"]).await;
    there.git(["commit", "--quiet", "--allow-empty", "--message", "Ours"]).await;
    assert_eq!(there.git(["rev-parse", "HEAD^"]).await, head);
    world.forge.stop().await;
}

#[tokio::test]
async fn a_pull_request_is_on_its_branch_and_tags_at_the_commit_come_along() {
    let world = World::new().await;
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let work = world.clone(&repo).await;
    work.git(["tag", "v0"]).await;
    work.git(["checkout", "--quiet", "-b", "feature/blue"]).await;
    work.write("v", "2");
    let head = work.commit_and_push().await;
    work.git(["tag", "--annotate", "v1.2.3", "--message", "One"]).await;
    work.git(["tag", "light/v1"]).await;
    work.git(["push", "--quiet", "origin", "--tags"]).await;
    let wanted = Wanted::of("refs/heads/feature/blue", &head).on(&["feature/blue", "pull/7"]);
    let mirror = world.mirrors.fetch(&world.source("acme/shop"), &wanted).await.unwrap();
    let there = unpack(&mirror).await;
    assert_eq!(there.git(["branch", "--show-current"]).await, "feature/blue");
    assert_eq!(there.git(["symbolic-ref", "HEAD"]).await, "refs/heads/feature/blue");
    assert_eq!(there.git(["describe"]).await, "v1.2.3");
    assert_eq!(there.git(["tag"]).await, "light/v1\nv1.2.3");
    assert_eq!(there.git(["status", "--porcelain"]).await, "");
    assert_eq!(there.git(["fsck", "--strict", "--full"]).await, "");
    world.forge.stop().await;
}
