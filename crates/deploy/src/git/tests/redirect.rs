//! Repositories that have moved.

use std::fs;

use super::gate::{Gate, Rules};
use super::{Wanted, World, unpack};
use crate::git::{GitError, Source};

const LOGIN: &str = "x-access-token:s3cret";

#[tokio::test]
async fn one_that_was_renamed_is_found_and_its_token_stays_at_home() {
    let (old, new) = (Gate::start(Rules::default()).await, Gate::start(Rules::default()).await);
    let world = World::allowing(&[&old.address.to_string(), &new.address.to_string()]).await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    old.set(|rules| {
        rules.login = Some(LOGIN.into());
        rules.moved.insert("/acme/old.git".into(), "/acme/mid.git".into());
        rules.moved.insert("/acme/mid.git".into(), format!("{}/acme/shop.git", new.url()));
    });
    new.set(|rules| rules.to = world.forge.url().to_owned());
    let url = world.mirrors.parse(&format!("{}/acme/old.git", old.url())).unwrap();
    let source = world.with_token(url, "s3cret");
    let mirror = world.mirrors.fetch(&source, &Wanted::of("main", "")).await.unwrap();
    assert_eq!(fs::read(unpack(&mirror).await.path.join("v")).unwrap(), b"1");
    let heard = new.heard();
    assert!(!heard.is_empty() && heard.iter().all(|(_, login)| login.is_none()), "{heard:?}");
    world.forge.stop().await;
}

#[tokio::test]
async fn none_is_followed_to_where_the_server_may_not_go() {
    let gate = Gate::start(Rules::default()).await;
    let hidden = Gate::start(Rules::default()).await;
    let world = World::allowing(&[&gate.address.to_string()]).await;
    let url = world.mirrors.parse(&format!("{}/acme/shop.git", gate.url())).unwrap();
    let source = Source::new(url, world.org, None);
    let hidden_url = hidden.url();
    for (to, why) in [
        (format!("{hidden_url}/acme/shop.git"), "has moved to http://127.0.0.1"),
        (format!("https://{}/acme/shop.git", hidden.address), "is not a public address"),
        ("https://localhost/acme/shop.git".into(), "is not a public address"),
        ("https://169.254.169.254/latest".into(), "is not a public address"),
        ("file:///etc/passwd".into(), "has moved to file:///etc/passwd"),
        ("ext::sh -c id".into(), "has moved to"),
        (format!("{}/acme/shop.git", gate.url()), "one place after another"),
    ] {
        gate.set(|rules| {
            rules.moved.clear();
            rules.moved.insert("/acme/shop.git".into(), to.clone());
        });
        let refused = world.mirrors.fetch(&source, &Wanted::of("main", "")).await.err().unwrap();
        let is_named = matches!(refused, GitError::Redirect(_) | GitError::Url(_));
        assert!(is_named && refused.to_string().contains(why), "{to}: {refused}");
    }
    assert_eq!(hidden.heard(), []);
    world.forge.stop().await;
}
