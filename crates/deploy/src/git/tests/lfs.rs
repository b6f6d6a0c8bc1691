//! Files in LFS: the real ones stand in the tree.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::gate::{Gate, Rules};
use super::{Wanted, World, unpack};
use crate::git::{GitError, Source};

const BATCH: &str = "/acme/shop.git/info/lfs/objects/batch";
const LOGIN: &str = "x-access-token:s3cret";

fn id(bytes: &[u8]) -> String {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pointer(bytes: &[u8]) -> String {
    let (id, bytes) = (id(bytes), bytes.len());
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{id}\nsize {bytes}\n")
}

fn object(bytes: &[u8], href: &str) -> String {
    let (id, size) = (id(bytes), bytes.len());
    format!(r#"{{"oid":"{id}","size":{size},"actions":{{"download":{{"href":"{href}"}}}}}}"#)
}

/// A forge with a repository that has one file in LFS.
async fn world(file: &[u8]) -> (World, Gate, Source) {
    let gate = Gate::start(Rules { login: Some(LOGIN.into()), ..Rules::default() }).await;
    let world = World::allowing(&[&gate.address.to_string()]).await;
    gate.set(|rules| rules.to = world.forge.url().to_owned());
    let text = pointer(file);
    let files: [(&str, &[u8]); 4] = [
        (".gitattributes", b"[attr]big filter=lfs diff=lfs merge=lfs -text\n*.bin big\n"),
        ("img/a.bin", text.as_bytes()),
        ("b.bin", b"never put into LFS"),
        ("pointer.txt", text.as_bytes()),
    ];
    let files = if file.is_empty() { &files[..1] } else { &files[..3] };
    world.forge.create_repo("acme/shop", files, "main").await.unwrap();
    let url = world.mirrors.parse(&format!("{}/acme/shop.git", gate.url())).unwrap();
    let source = world.with_token(url, "s3cret");
    (world, gate, source)
}

#[tokio::test]
async fn the_file_stands_in_the_place_of_its_pointer() {
    let file: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let (world, gate, source) = world(&file).await;
    let path = format!("/store/{}", id(&file));
    gate.set(|rules| {
        let answer = format!(
            r#"{{"transfer":"basic","objects":[{}]}}"#,
            object(&file, &format!("{{gate}}{path}"))
        );
        rules.answers.insert(BATCH.into(), answer.into_bytes());
        rules.answers.insert(path.clone(), file.clone());
    });
    let wanted = Wanted::of("main", "");
    let mirror = world.mirrors.fetch(&source, &wanted).await.unwrap();
    let there = unpack(&mirror).await;
    assert!(fs::read(there.path.join("img/a.bin")).unwrap() == file);
    assert_eq!(fs::read(there.path.join("b.bin")).unwrap(), b"never put into LFS");
    assert_eq!(there.git(["status", "--porcelain"]).await, "");
    let told = there.git(["show", "HEAD:img/a.bin"]).await;
    assert_eq!(told, pointer(&file).trim_end());
    // It is here now, and needs no forge.
    let wanted = Wanted::of("main", &mirror.commit);
    drop(mirror);
    drop(gate);
    world.forge.stop().await;
    let mirror = world.mirrors.fetch(&source, &wanted).await.unwrap();
    assert!(fs::read(unpack(&mirror).await.path.join("img/a.bin")).unwrap() == file);
}

#[tokio::test]
async fn a_file_that_is_not_the_one_or_not_to_be_had_is_named() {
    let file = b"the real file".to_vec();
    let (world, gate, source) = world(&file).await;
    let hidden = Gate::start(Rules::default()).await;
    let (id, path) = (id(&file), "/store/x");
    let wanted = Wanted::of("main", "");
    let far = format!("{}/x", hidden.url());
    for (answer, sent, why) in [
        ("nonsense".to_owned(), &b""[..], "answered in an unknown form"),
        (r#"{"objects":[]}"#.into(), b"", "does not have it"),
        (
            format!(
                r#"{{"objects":[{{"oid":"{id}","error":{{"code":404,"message":"gone away"}}}}]}}"#
            ),
            b"",
            "gone away",
        ),
        (
            format!(r#"{{"objects":[{}]}}"#, object(&file, "{gate}/store/x")),
            b"another one",
            "another file",
        ),
        (
            format!(r#"{{"objects":[{}]}}"#, object(&file, "{gate}/store/x")),
            b"the real file and more",
            "another file",
        ),
        (
            format!(r#"{{"objects":[{}]}}"#, object(&file, "{gate}/store/x")),
            b"the fake file",
            "another file",
        ),
        (format!(r#"{{"objects":[{}]}}"#, object(&file, &far)), b"", "only be reached over https"),
        (
            format!(r#"{{"objects":[{}]}}"#, object(&file, "https://127.0.0.1/x")),
            b"",
            "not a public address",
        ),
        (
            format!(r#"{{"objects":[{}]}}"#, object(&file, "file:///etc/passwd")),
            b"",
            "host/owner/repo",
        ),
    ] {
        gate.set(|rules| {
            rules.answers.insert(BATCH.into(), answer.clone().into_bytes());
            rules.answers.insert(path.into(), sent.to_vec());
        });
        let refused = world.mirrors.fetch(&source, &wanted).await.err().unwrap().to_string();
        assert!(refused.contains(why), "{answer}: {refused}");
    }
    assert_eq!(hidden.heard(), []);
    let mirror = world.mirrors.root.join(source.mirror()).join("lfs");
    assert_eq!(fs::read_dir(mirror).unwrap().count(), 0);
    // A store elsewhere hears what the forge gave for it, and not the token.
    let host = hidden.address.to_string();
    let world = World::allowing(&[&gate.address.to_string(), &host]).await;
    let files: [(&str, &[u8]); 2] =
        [(".gitattributes", b"*.bin filter=lfs\n"), ("a.bin", &pointer(&file).into_bytes())];
    world.forge.create_repo("acme/shop", &files, "main").await.unwrap();
    let action = format!(r#"{{"href":"{far}","header":{{"X-Signed":"yes","Host":"evil"}}}}"#);
    let size = file.len();
    let answer = format!(
        r#"{{"objects":[{{"oid":"{id}","size":{size},"actions":{{"download":{action}}}}}]}}"#
    );
    gate.set(|rules| {
        rules.to = world.forge.url().to_owned();
        rules.answers.insert(BATCH.into(), answer.into_bytes());
    });
    hidden.set(|rules| {
        rules.answers.insert("/x".into(), file.clone());
    });
    assert!(world.mirrors.fetch(&source, &wanted).await.is_ok());
    assert_eq!(hidden.heard(), [("/x".to_owned(), None)]);
    world.forge.stop().await;
}

#[tokio::test]
async fn one_that_is_on_its_way_is_nobody_elses_to_clear_away() {
    let file = b"the real file".to_vec();
    let gate = Gate::start(Rules::default()).await;
    let store = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = store.local_addr().unwrap().to_string();
    let world = World::allowing(&[&gate.address.to_string(), &host]).await;
    let files: [(&str, &[u8]); 2] =
        [(".gitattributes", b"*.bin filter=lfs\n"), ("a.bin", &pointer(&file).into_bytes())];
    let repo = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let first = repo.head("main").await.unwrap();
    repo.push("main", &files, "LFS").await.unwrap();
    gate.set(|rules| {
        rules.to = world.forge.url().to_owned();
        let answer = format!(r#"{{"objects":[{}]}}"#, object(&file, &format!("http://{host}/x")));
        rules.answers.insert(BATCH.into(), answer.into_bytes());
    });
    let url = world.mirrors.parse(&format!("{}/acme/shop.git", gate.url())).unwrap();
    let source = Source::new(url, world.org, None);
    let wanted = Wanted::of("main", "");
    let slow = async {
        let (mut caller, _) = store.accept().await.unwrap();
        assert!(caller.read(&mut [0; 4096]).await.unwrap() > 0);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
        caller.write_all(head.as_bytes()).await.unwrap();
        caller.write_all(&file[..3]).await.unwrap();
        // Meanwhile another deployment of the repository fetches.
        let other = Wanted::of("main", &first);
        assert!(world.mirrors.fetch(&source, &other).await.is_ok());
        caller.write_all(&file[3..]).await.unwrap();
    };
    let (mirror, ()) = tokio::join!(world.mirrors.fetch(&source, &wanted), slow);
    let there = unpack(&mirror.unwrap()).await;
    assert_eq!(fs::read(there.path.join("a.bin")).unwrap(), file);
    world.forge.stop().await;
}

#[tokio::test]
async fn over_ssh_they_are_refused_by_name() {
    let (world, _gate, source) = world(b"file").await;
    let url = world.mirrors.parse("git@forge.example:acme/shop").unwrap();
    let over_ssh = Source::new(url, world.org, None);
    let pointers = [(0, crate::git::lfs::Pointer { id: id(b"file"), bytes: 4 })].into();
    let dir = world.mirrors.root.join(source.mirror());
    let refused = crate::git::lfs::bring(&dir, &over_ssh, &pointers, &[]).await;
    assert!(matches!(refused, Err(GitError::LfsOverSsh)));
    world.forge.stop().await;
}
