//! The server ends at each step of a deployment: what was live is served throughout, and the
//! deployment ends all the same.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use pando_e2e::{App, Fault, Options, Server, remove_apps};
use pando_forge::{Forge, Repo, Settings};
use reqwest::Method;
use serde_json::{Value, json};

/// How long a deployment may take on a busy host under translation.
const DEPLOY_LIMIT: Duration = Duration::from_secs(120);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Sandboxes that an app has when nothing is under way.
const AT_REST: usize = 1;

/// An app that installs, builds, migrates and serves, all of it at once.
fn version(number: usize) -> Vec<(&'static str, Vec<u8>)> {
    let server = format!(
        "require('http').createServer((question, answer) => answer.end('version {number} '\n\
         + require('fs').readFileSync('built'))).listen(process.env.PORT, '127.0.0.1');\n"
    );
    vec![
        ("Procfile", b"web: node server.js\nrelease: test -e built\n".to_vec()),
        ("server.js", server.into_bytes()),
    ]
}

struct World {
    server: Server,
    repo: Repo,
    app: App,
}

impl World {
    async fn start(root: &std::path::Path) -> anyhow::Result<(Self, Forge)> {
        let forge = Forge::start(Settings::new(root.join("forge"), "token")).await?;
        let host = forge.url().trim_start_matches("http://").to_owned();
        let arguments = ["--allow-git-host".to_owned(), host].into();
        let server = Server::start(Options { arguments, ..Options::default() }).await?;
        let first = version(0);
        let repo = forge.create_repo("acme/shop", &files(&first), "main").await?;
        remove_apps(&server).await?;
        let body = json!({
            "name": "dies", "git_url": repo.clone_url(), "git_branch": "main",
            "install_command": "date +%s%N >installed", "build_command": "cp installed built",
        });
        let app = App::create(&server, &body).await?;
        Ok((Self { server, repo, app }, forge))
    }

    /// Waits until the newest deployment has ended; every page until then is one of `shown`.
    async fn ended(&self, shown: &[String]) -> anyhow::Result<Value> {
        let begun = Instant::now();
        loop {
            let list = self.app.deployments(&self.server).await?;
            let newest = list.into_iter().next().context("no deployment")?;
            if !shown.is_empty() {
                let page = self.app.page(&self.server).await?;
                ensure!(shown.iter().any(|shown| page.starts_with(shown)), "it shows {page}");
            }
            if matches!(newest["status"].as_str(), Some("live" | "failed")) {
                return Ok(newest);
            }
            ensure!(begun.elapsed() < DEPLOY_LIMIT, "it does not end: {newest}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn until_at_rest(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let sandboxes = self.server.sandboxes().await?;
            if sandboxes.len() == AT_REST {
                return Ok(());
            }
            ensure!(begun.elapsed() < DEPLOY_LIMIT, "sandboxes stay: {sandboxes:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn files<'a>(app: &'a [(&'static str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    app.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect()
}

/// The names in a folder of the pool.
fn kept(server: &Server, folder: &str) -> anyhow::Result<Vec<String>> {
    let entries = std::fs::read_dir(server.data().join("pool").join(folder))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_ends_wherever_the_server_did() -> anyhow::Result<()> {
    let root = pando_e2e::test_data().join("deployment-dies");
    std::fs::create_dir_all(&root)?;
    let (mut world, forge) = World::start(&root).await?;
    let first = world.ended(&[]).await?;
    ensure!(first["status"] == "live", "{first}");
    let steps = Fault::ALL.iter().filter(|fault| fault.name().starts_with("deploy."));
    let mut live = "version 0".to_owned();
    for (round, fault) in steps.enumerate() {
        let name = fault.name();
        world.server.terminate()?;
        world.server.set_fault(Some(*fault));
        world.server.launch().await.context(name)?;
        ensure!(
            world.app.page(&world.server).await.context(name)?.starts_with(&live),
            "{name}: before"
        );
        let next = format!("version {}", round + 1);
        world.repo.push("main", &files(&version(round + 1)), name).await?;
        let deploy = world.server.request(Method::POST, &world.app.path("/deploys"));
        if let Ok(answer) = deploy.json(&json!({})).send().await {
            ensure!(answer.status().is_success(), "{name}: {}", answer.text().await?);
        }
        world.server.crashed().await.context(name)?;

        world.server.set_fault(None);
        world.server.launch().await.context(name)?;
        let ended = world.ended(&[live.clone(), next.clone()]).await.context(name)?;
        match ended["status"].as_str() {
            Some("live") => live = next,
            Some("failed") => {
                let why = ended["error"].as_str().unwrap_or_default();
                bail!("{name}: it ended with `{why}`: {}", world.server.log_tail())
            }
            other => bail!("{name}: {other:?}"),
        }
        ensure!(
            world.app.page(&world.server).await.context(name)?.starts_with(&live),
            "{name}: after"
        );
        world.until_at_rest().await.context(name)?;
    }
    // What is kept is of the last few, and nothing is once the app is gone.
    let (disks, snapshots) = (kept(&world.server, "disks")?, kept(&world.server, "snapshots")?);
    ensure!(disks.len() <= 8 && snapshots.len() <= 4, "{disks:?} {snapshots:?}");
    remove_apps(&world.server).await?;
    let disks: Vec<_> =
        kept(&world.server, "disks")?.into_iter().filter(|name| name != "empty.raw").collect();
    let snapshots = kept(&world.server, "snapshots")?;
    ensure!(disks.is_empty() && snapshots.is_empty(), "{disks:?} {snapshots:?}");
    forge.stop().await;
    let finished = world.server.finish();
    std::fs::remove_dir_all(&root)?;
    finished
}
