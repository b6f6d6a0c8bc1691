//! Real git, by a user's git program, over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the tests' own helpers fail as tests do"
)]

mod common;

use base64::Engine;
use common::{TOKEN, World, git, git_ok};
use serde_json::Value;

fn payload(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn what_is_pushed_is_announced_and_moves_its_pull_request() {
    let world = World::start().await;
    let clone = world.folder.path().join("clone");
    let clone_path = clone.to_str().unwrap();
    git_ok(world.folder.path(), &["clone", "--quiet", &world.repo.clone_url(), clone_path]).await;
    assert_eq!(std::fs::read_to_string(clone.join("src/app.js")).unwrap(), "1;\n");

    // A new branch: one push, which lists what main does not have.
    git_ok(&clone, &["switch", "--quiet", "--create", "one"]).await;
    std::fs::write(clone.join("src/app.js"), "2;\n").unwrap();
    std::fs::write(clone.join("new.txt"), "new\n").unwrap();
    git_ok(&clone, &["rm", "--quiet", "README.md"]).await;
    git_ok(&clone, &["add", "."]).await;
    git_ok(&clone, &["commit", "--quiet", "--message", "One"]).await;
    git_ok(&clone, &["push", "--quiet", "origin", "one"]).await;
    let first = git_ok(&clone, &["rev-parse", "HEAD"]).await;
    let push = payload(&world.deliveries(1).await[0].body);
    assert_eq!(push["ref"], "refs/heads/one");
    assert_eq!((&push["created"], &push["after"]), (&Value::Bool(true), &first.as_str().into()));
    let commit = &push["commits"][0];
    assert_eq!(push["commits"].as_array().unwrap().len(), 1);
    assert_eq!(commit["added"][0], "new.txt");
    assert_eq!(commit["modified"][0], "src/app.js");
    assert_eq!(commit["removed"][0], "README.md");

    // With a pull request open, a push moves it too.
    let pull = world.repo.open_pull_request("one", "main", "One").await.unwrap();
    assert_eq!((pull.number, pull.head_sha.as_str()), (1, first.as_str()));
    assert_eq!(world.repo.pull_request_head(1).await.unwrap(), first);
    git_ok(&clone, &["commit", "--quiet", "--amend", "--message", "One, better"]).await;
    let (refused, _) = git(&clone, &["push", "--quiet", "origin", "one"]).await;
    assert!(!refused, "git itself wants --force for this");
    git_ok(&clone, &["push", "--quiet", "--force", "origin", "one"]).await;
    let second = git_ok(&clone, &["rev-parse", "HEAD"]).await;
    let deliveries = world.deliveries(4).await;
    let (push, synchronize) = (payload(&deliveries[2].body), payload(&deliveries[3].body));
    assert_eq!((&push["forced"], &push["before"]), (&Value::Bool(true), &first.as_str().into()));
    assert_eq!(synchronize["action"], "synchronize");
    assert_eq!(synchronize["before"], first);
    assert_eq!(synchronize["pull_request"]["head"]["sha"], second);
    assert_eq!(world.repo.pull_request_head(1).await.unwrap(), second);

    // The pull request's own ref is for everybody to fetch, and for nobody to push.
    git_ok(&clone, &["fetch", "--quiet", "origin", "refs/pull/1/head"]).await;
    git_ok(&clone, &["fetch", "--quiet", "--depth=1", "origin", &second]).await;
    let (pushed, said) = git(&clone, &["push", "origin", "main:refs/pull/1/head"]).await;
    assert!(!pushed && said.contains("hidden ref"), "{said}");

    // A branch that goes takes its pull request along.
    git_ok(&clone, &["push", "--quiet", "origin", ":one"]).await;
    let deliveries = world.deliveries(6).await;
    let (push, closed) = (payload(&deliveries[4].body), payload(&deliveries[5].body));
    assert_eq!((&push["deleted"], &push["head_commit"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(closed["action"], "closed");
    assert_eq!(closed["pull_request"]["merged"], false);
    assert_eq!(world.forge.deliveries().len(), 6, "the refused push was announced");
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn a_merge_by_hand_closes_the_pull_request_as_merged() {
    let world = World::start().await;
    world.repo.commit("one", &[("one.txt", b"1\n")], "One").await.unwrap();
    world.repo.open_pull_request("one", "main", "One").await.unwrap();
    let clone = world.folder.path().join("clone");
    git_ok(world.folder.path(), &["clone", "--quiet", &world.repo.clone_url(), "clone"]).await;
    git_ok(&clone, &["merge", "--quiet", "--no-ff", "--message", "Merge", "origin/one"]).await;
    git_ok(&clone, &["push", "--quiet"]).await;
    let deliveries = world.deliveries(3).await;
    assert_eq!(deliveries[1].event, "push");
    let closed = payload(&deliveries[2].body);
    assert_eq!(
        (&closed["action"], &closed["pull_request"]["merged"]),
        (&"closed".into(), &true.into())
    );
    assert_eq!(closed["pull_request"]["merge_commit_sha"], world.repo.head("main").await.unwrap());
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn a_large_push_and_its_clone_are_streamed() {
    let world = World::start().await;
    let clone = world.folder.path().join("clone");
    git_ok(world.folder.path(), &["clone", "--quiet", &world.repo.clone_url(), "clone"]).await;
    // Bytes that do not compress, so that the pack is larger than any one buffer.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = (0..4 * 1024 * 1024)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    std::fs::write(clone.join("noise"), &noise).unwrap();
    git_ok(&clone, &["add", "."]).await;
    git_ok(&clone, &["commit", "--quiet", "--message", "Noise"]).await;
    git_ok(&clone, &["push", "--quiet"]).await;
    world.deliveries(1).await;
    git_ok(world.folder.path(), &["clone", "--quiet", &world.repo.clone_url(), "again"]).await;
    assert_eq!(std::fs::read(world.folder.path().join("again/noise")).unwrap(), noise);
    world.finish().await;
}

#[tokio::test]
async fn a_wrong_password_or_name_is_refused() {
    let world = World::start().await;
    let folder = world.folder.path();
    // git itself shows a password only to those who ask; a script sends it at once.
    let header = |credentials: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        format!("http.extraHeader=Authorization: Basic {encoded}")
    };
    let (wrong, right) = (header("ada:wrong"), header(&format!("ada:{TOKEN}")));
    let url = world.repo.clone_url();
    let (read, said) = git(folder, &["-c", &wrong, "ls-remote", &url]).await;
    assert!(!read, "{said}");
    git_ok(folder, &["-c", &right, "ls-remote", &url]).await;
    let none = format!("{}/pando/none.git", world.forge.url());
    let (read, said) = git(folder, &["ls-remote", &none]).await;
    assert!(!read && said.contains("not found"), "{said}");

    // Whose token it is shows in the webhook.
    git_ok(folder, &["clone", "--quiet", &url, "clone"]).await;
    let clone = folder.join("clone");
    git_ok(&clone, &["commit", "--quiet", "--allow-empty", "--message", "Empty"]).await;
    let (pushed, said) = git(&clone, &["-c", &wrong, "push"]).await;
    assert!(!pushed, "{said}");
    git_ok(&clone, &["-c", &right, "push", "--quiet"]).await;
    assert_eq!(payload(&world.deliveries(1).await[0].body)["pusher"]["name"], "ada");
    world.holds_the_contract();
    world.finish().await;
}

#[tokio::test]
async fn only_its_own_or_an_empty_folder_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("precious"), "x").unwrap();
    let refused = pando_forge::Forge::start(pando_forge::Settings::new(folder.path(), TOKEN)).await;
    assert!(matches!(refused, Err(pando_forge::ForgeError::ForeignRoot(_))));
    assert!(folder.path().join("precious").exists());

    let own = folder.path().join("own");
    for _ in 0..2 {
        let forge =
            pando_forge::Forge::start(pando_forge::Settings::new(&own, TOKEN)).await.unwrap();
        forge.create_repo("a/b", &[("x", b"x")], "main").await.unwrap();
        assert!(forge.create_repo("a/b", &[("x", b"x")], "main").await.is_err());
        forge.stop().await;
    }
}
