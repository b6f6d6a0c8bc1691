use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use pando_deploy::RunLog;
use pando_guest_protocol::log::{LogLines, LogQuery, Whose};
use pando_node::guest::LogStream;
use pando_node::held::Budget;
use pando_types::app::{App, CreateDeployment, DeploymentStatus};
use pando_types::env::{EnvScope, SetEnv};
use pando_types::{AppId, Code, DeploymentId, PublicError};

use crate::world::World;

const MANIFEST: &[u8] = b"[cron.nightly]\nschedule = '0 3 * * *'\ncommand = 'true'\n";
/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app whose processes say what they have.
async fn live(world: &World, web: &str, more: &[(&str, &[u8])]) -> App {
    push(world, web, more).await;
    let app = world
        .app(|app| app.env = Some(BTreeMap::from([("TOKEN".into(), "s3cr3t-one".into())])))
        .await;
    let deployment = world.ended(app.id).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    app
}

async fn push(world: &World, web: &str, more: &[(&str, &[u8])]) {
    let procfile = format!("web: {web}; exec python3 -m http.server $PORT\n");
    let files = [&[("Procfile", procfile.as_bytes()), ("index.html", b"hi")], more].concat();
    world.repo.push("main", &files, "an app").await.unwrap();
}

async fn set(world: &World, app: AppId, key: &str, value: &str, secret: bool) {
    let request = SetEnv { value: value.into(), secret, scope: EnvScope::All };
    world.deploy.env_set(world.org, app, key, request).await.unwrap();
}

async fn deploy(world: &World, app: AppId) {
    let deployment = world.new_deployment(app, CreateDeployment::default()).await.unwrap();
    let deployment = world.ended_of(app, deployment.id).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
}

async fn restart(world: &World, app: AppId) {
    let restart = world.deploy.app_restart(DeploymentId::new(), world.org, app).await.unwrap();
    assert_eq!(world.ended_of(app, restart.id).await.status, DeploymentStatus::Live);
}

async fn open(world: &World, app: AppId, query: LogQuery) -> Result<RunLog, PublicError> {
    let account = Budget::new(1 << 30).account(Some(world.org));
    world.deploy.app_log(world.org, app, query, &account).await
}

async fn lines(world: &World, app: AppId, query: LogQuery) -> LogStream {
    open(world, app, query).await.unwrap().lines().await.unwrap()
}

fn of(process: &str) -> LogQuery {
    LogQuery { whose: Whose::Process(process.into()), ..LogQuery::default() }
}

/// All that there is, in lines.
async fn read(world: &World, app: AppId, query: LogQuery) -> Vec<String> {
    let all: Vec<_> = lines(world, app, query).await.collect().await;
    all.into_iter().flat_map(|some| texts(&some.unwrap())).collect()
}

fn texts(lines: &LogLines) -> Vec<String> {
    lines.text.split('\n').map(str::to_owned).collect()
}

/// What comes, until this does.
async fn until(lines: &mut LogStream, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let wait = async {
        while !seen.iter().any(|line: &String| line.contains(last)) {
            seen.extend(texts(&lines.next().await.expect("it goes on").unwrap()));
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "never: {last}; {seen:?}");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_hidden_and_plain_values_are_not() {
    let world = World::new().await;
    let app = live(&world, "echo web has $TOKEN $LEVEL", &[]).await;
    let web = || LogQuery { tail: Some(1), ..of("web") };
    world.until("it is up", async || !read(&world, app.id, web()).await.is_empty()).await;
    assert_eq!(read(&world, app.id, of("web")).await[0], "web has [hidden]");
    set(&world, app.id, "LEVEL", "verbose", false).await;
    restart(&world, app.id).await;
    assert_eq!(read(&world, app.id, of("web")).await[0], "web has [hidden] verbose");
    let all = LogQuery { whose: Whose::Processes, ..LogQuery::default() };
    assert_eq!(read(&world, app.id, all).await[0], "web has [hidden] verbose");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_there_is_not_is_refused_with_those_that_there_are() {
    let world = World::new().await;
    let app = live(&world, "true", &[("pando.toml", MANIFEST)]).await;
    // It has said nothing.
    assert!(read(&world, app.id, of("nightly")).await.is_empty());
    let refused = open(&world, app.id, of("nope")).await;
    let Err(refused) = refused else { panic!("it is taken") };
    assert_eq!((refused.code, refused.field.as_deref()), (Code::NotFound, Some("process")));
    assert_eq!(refused.message, "no process `nope`: what is live has `web`, and of cron `nightly`");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_follows_goes_on_with_the_next_deployment() {
    let world = World::new().await;
    let app = live(&world, "echo first $TOKEN", &[]).await;
    let follow = LogQuery { whose: Whose::Processes, follow: true, ..LogQuery::default() };
    let mut seen_by_all = lines(&world, app.id, follow.clone()).await;
    let of_web = LogQuery { tail: Some(0), follow: true, ..of("web") };
    let mut of_web = lines(&world, app.id, of_web).await;
    assert_eq!(until(&mut seen_by_all, "first").await[0], "first [hidden]");

    push(&world, "echo second $TOKEN; echo and on", &[]).await;
    deploy(&world, app.id).await;
    for lines in [&mut seen_by_all, &mut of_web] {
        let seen = until(lines, "and on").await;
        let at = |what: &str| seen.iter().position(|line| line.contains(what));
        assert!(at("is live now, commit ").unwrap() < at("second [hidden]").unwrap(), "{seen:?}");
        assert!(!seen.iter().any(|line| line.contains("first")), "{seen:?}");
    }

    // A new secret is hidden as well, and so is the one that what runs was started with.
    set(&world, app.id, "TOKEN", "s3cr3t-two", true).await;
    restart(&world, app.id).await;
    for lines in [&mut seen_by_all, &mut of_web] {
        let seen = until(lines, "and on").await;
        assert!(seen.contains(&"second [hidden]".to_owned()), "{seen:?}");
        assert!(!seen.iter().any(|line| line.contains("s3cr3t")), "{seen:?}");
    }

    world.deploy.app_delete(world.org, app.id).await.unwrap();
    for mut lines in [seen_by_all, of_web] {
        let end = async { while lines.next().await.is_some() {} };
        assert!(tokio::time::timeout(PATIENCE, end).await.is_ok(), "it ends with the app");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_follows_waits_where_a_process_is_gone_or_the_machine_died() {
    let world = World::new().await;
    let manifest = ("pando.toml", MANIFEST);
    let app = live(&world, "echo first", &[manifest]).await;
    let mut nightly = lines(&world, app.id, LogQuery { follow: true, ..of("nightly") }).await;
    let mut web = lines(&world, app.id, LogQuery { follow: true, ..of("web") }).await;
    until(&mut web, "first").await;
    push(&world, "echo second", &[("pando.toml", b"")]).await;
    deploy(&world, app.id).await;
    until(&mut nightly, "; it has no process `nightly`]").await;
    until(&mut web, "second").await;
    push(&world, "echo third", &[manifest]).await;
    deploy(&world, app.id).await;
    let seen = until(&mut nightly, "is live now").await;
    assert!(!seen[0].contains("no process"), "{seen:?}");
    until(&mut web, "third").await;

    let sandbox = world.target(&app).unwrap().sandbox.unwrap();
    world.machines.crash(sandbox);
    // It is deployed again by itself.
    until(&mut web, "is live now").await;
    until(&mut web, "third").await;
    world.finish().await;
}
