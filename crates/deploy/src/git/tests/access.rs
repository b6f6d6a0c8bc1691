//! Private repositories over http: who may read them, and what their token is shown to.

use std::fs;

use pando_types::OrgId;

use super::gate::{Gate, Rules};
use super::{Wanted, World, unpack};
use crate::Secret;
use crate::git::{Credential, GitError, GitUrl, Source};

const LOGIN: &str = "x-access-token:s3cr/t @%";
const TOKEN: &str = "s3cr/t @%";

/// A forge behind a gate, and the gate.
async fn private() -> (World, Gate) {
    let gate = Gate::start(Rules { login: Some(LOGIN.into()), ..Rules::default() }).await;
    let world = World::allowing(&[&gate.address.to_string()]).await;
    gate.set(|rules| rules.to = world.forge.url().to_owned());
    (world, gate)
}

fn at(world: &World, gate: &Gate, repo: &str) -> GitUrl {
    world.mirrors.parse(&format!("{}/{repo}.git", gate.url())).unwrap()
}

#[tokio::test]
async fn a_private_repository_opens_to_its_token_alone() {
    let (world, gate) = private().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let (url, wanted) = (at(&world, &gate, "acme/shop"), Wanted::of("main", ""));
    let anonymous = Source::new(url.clone(), world.org, None);
    let refused = world.mirrors.fetch(&anonymous, &wanted).await.err().unwrap();
    assert!(matches!(refused, GitError::Denied { is_known: false, .. }), "{refused}");
    let wrong = world.with_token(url.clone(), "wrong");
    let refused = world.mirrors.fetch(&wrong, &wanted).await.err().unwrap();
    assert!(matches!(refused, GitError::Denied { is_known: true, .. }), "{refused}");
    assert!(refused.to_string().contains("is refused there"), "{refused}");
    let source = world.with_token(url.clone(), TOKEN);
    let mirror = world.mirrors.fetch(&source, &wanted).await.unwrap();
    let there = unpack(&mirror).await;
    assert_eq!(fs::read(there.path.join("v")).unwrap(), b"1");
    // Nothing of it is left: not in the tree, not in the mirror, not beside it.
    let found = std::process::Command::new("grep")
        .args(["--recursive", "--files-with-matches", "--text", "s3cr"])
        .args([&there.path, &world.folder.path().join("mirrors")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    // Who knows the commit, and not the token, does not get it from us either.
    let known = Wanted::of("main", &mirror.commit);
    let other = Source::new(url.clone(), OrgId::new(), None);
    assert!(world.mirrors.fetch(&other, &known).await.is_err());
    assert!(world.mirrors.fetch(&anonymous, &known).await.is_err());
    let token = Some(Credential::Token(Secret::new("guess")));
    let guessing = Source::new(url, OrgId::new(), token);
    assert!(world.mirrors.fetch(&guessing, &known).await.is_err());
    world.forge.stop().await;
}

#[tokio::test]
async fn arguments_and_variables_of_git_hold_no_token() {
    let (world, gate) = private().await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let source = world.with_token(at(&world, &gate, "acme/shop"), TOKEN);
    let transport =
        crate::git::access::Transport::to(&source, &world.mirrors.root, &world.mirrors.allowed);
    let transport = transport.await.unwrap();
    let told = format!("{:?} {:?}", transport.config, transport.variables);
    assert!(!told.contains("s3cr") && told.contains("credential.helper=store --file="), "{told}");
    use std::os::unix::fs::PermissionsExt;
    let scratch: Vec<_> =
        fs::read_dir(&world.mirrors.root).unwrap().map(|it| it.unwrap()).collect();
    let [folder] = &scratch[..] else { panic!("{scratch:?}") };
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let file = folder.path().join("token");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    drop(transport);
    assert_eq!(fs::read_dir(&world.mirrors.root).unwrap().count(), 0);
    world.forge.stop().await;
}

/// `acme/shop` with a submodule at that address.
async fn with_submodule(world: &World, url: &str, commit: &str) -> String {
    let shop = world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let work = world.clone(&shop).await;
    work.write(".gitmodules", format!("[submodule \"sub\"]\n\tpath = sub\n\turl = {url}\n"));
    work.git(["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]).await;
    work.git(["add", ".gitmodules"]).await;
    work.git(["commit", "--quiet", "--message", "More"]).await;
    work.git(["push", "--quiet", "origin", "HEAD"]).await;
    work.git(["rev-parse", "HEAD"]).await
}

#[tokio::test]
async fn a_token_goes_to_no_submodule_of_another_host() {
    let other = Gate::start(Rules::default()).await;
    let gate = Gate::start(Rules { login: Some(LOGIN.into()), ..Rules::default() }).await;
    let (one, two) = (gate.address.to_string(), other.address.to_string());
    let world = World::allowing(&[&one, &two]).await;
    gate.set(|rules| rules.to = world.forge.url().to_owned());
    other.set(|rules| rules.to = world.forge.url().to_owned());
    let lib = world.forge.create_repo("acme/lib", &[("f", b"lib")], "main").await.unwrap();
    let commit = lib.head("main").await.unwrap();
    with_submodule(&world, &format!("{}/acme/lib", other.url()), &commit).await;
    let source = world.with_token(at(&world, &gate, "acme/shop"), TOKEN);
    let mirror = world.mirrors.fetch(&source, &Wanted::of("main", "")).await.unwrap();
    assert_eq!(fs::read(unpack(&mirror).await.path.join("sub/f")).unwrap(), b"lib");
    drop(mirror);
    let heard = other.heard();
    assert!(!heard.is_empty() && heard.iter().all(|(_, login)| login.is_none()), "{heard:?}");
    assert!(gate.heard().iter().any(|(_, login)| login.as_deref() == Some(LOGIN)));
    // One that asks for a login there gets none.
    other.set(|rules| rules.login = Some(LOGIN.into()));
    world
        .mirrors
        .remove(world.org, &world.mirrors.parse(&format!("{}/acme/lib", other.url())).unwrap())
        .await
        .unwrap();
    let refused = world.mirrors.fetch(&source, &Wanted::of("main", "")).await.err().unwrap();
    assert!(matches!(refused, GitError::Submodule { .. }), "{refused}");
    assert!(other.heard().iter().all(|(_, login)| login.is_none()));
    world.forge.stop().await;
}

#[tokio::test]
async fn a_pull_request_gets_the_private_submodules_that_the_app_has_and_no_others() {
    let (world, gate) = private().await;
    let lib = world.forge.create_repo("acme/lib", &[("f", b"lib")], "main").await.unwrap();
    let secret = world.forge.create_repo("acme/secret", &[("f", b"no")], "main").await.unwrap();
    let live = with_submodule(&world, "../lib", &lib.head("main").await.unwrap()).await;
    let source = world.with_token(at(&world, &gate, "acme/shop"), TOKEN);
    assert!(world.mirrors.fetch(&source, &Wanted::of("main", "")).await.is_ok());
    // An app of the org has read it, so it is here.
    let other = world.with_token(at(&world, &gate, "acme/secret"), TOKEN);
    assert!(world.mirrors.fetch(&other, &Wanted::of("main", "")).await.is_ok());
    let of_live = Wanted::of("main", &live).vouched_by(Some(live.clone()));
    assert!(world.mirrors.fetch(&source, &of_live).await.is_ok());

    let work = world.clone(&world.forge.repo("acme/shop").unwrap()).await;
    work.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = ../secret\n");
    let entry = format!("160000,{},sub", secret.head("main").await.unwrap());
    work.git(["update-index", "--cacheinfo", &entry]).await;
    work.git(["commit", "--quiet", "--all", "--message", "Evil"]).await;
    let evil = work.git(["rev-parse", "HEAD"]).await;
    work.git(["push", "--quiet", "origin", "HEAD:refs/heads/evil"]).await;
    for vouched in [Some(live), None] {
        let wanted = Wanted::of("evil", &evil).vouched_by(vouched);
        let refused = world.mirrors.fetch(&source, &wanted).await.err().unwrap();
        assert!(matches!(refused, GitError::Submodule { .. }), "{refused}");
    }
    assert!(world.mirrors.fetch(&source, &Wanted::of("evil", &evil)).await.is_ok());
    world.forge.stop().await;
}
