//! What an app's first deployment takes, and what the next need not do again, beside the bare
//! hypervisor that restores one machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use pando_forge::{Forge, Repo, Settings};
use reqwest::Method;
use reqwest::header::HOST;
use serde_json::{Value, json};

use crate::sample::Sample;
use crate::server::Server;
use crate::{Arguments, floor};

/// How often it is looked whether a deployment has ended.
const PAUSE: Duration = Duration::from_millis(10);
const DEPLOY_LIMIT: Duration = Duration::from_secs(600);

/// What is deployed: an app that says which version it is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Installed by npm, which has nothing to fetch.
    Node,
    /// Installed by pip from the registry.
    Flask,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Node, Self::Flask];

    const fn name(self) -> &'static str {
        match self {
            Self::Node => "Node, npm with no dependency",
            Self::Flask => "Flask, by pip",
        }
    }

    /// The files of a version. What is installed is another set for each `round`, so that no
    /// layer of an earlier one does.
    fn files(self, round: &str, version: &str) -> Vec<(String, String)> {
        let file = |name: &str, text: String| (name.to_owned(), text);
        match self {
            Self::Node => vec![
                file(
                    "package.json",
                    format!("{{\"name\": \"page\", \"description\": \"{round}\"}}\n"),
                ),
                file(
                    "server.js",
                    format!(
                        "require('http').createServer((asked, answer) => answer.end('{version}'))\n  \
                         .listen(process.env.PORT);\n"
                    ),
                ),
                file("Procfile", "web: node server.js\n".to_owned()),
            ],
            Self::Flask => vec![
                file("requirements.txt", format!("# {round}\nflask==3.1.0\n")),
                file(
                    "app.py",
                    format!(
                        "from flask import Flask\n\napp = Flask(__name__)\n\n\n\
                         @app.get('/')\ndef page():\n    return '{version}'\n"
                    ),
                ),
            ],
        }
    }
}

/// How long each took, from the request to its being live.
#[derive(Debug, Default)]
struct Measured {
    first: Sample,
    second: Sample,
    rollback: Sample,
    restart: Sample,
}

/// An app and its repository.
struct App<'a> {
    server: &'a Server,
    repo: &'a Repo,
    branch: String,
    id: String,
    host: String,
}

impl App<'_> {
    async fn push(&self, kind: Kind, version: &str) -> anyhow::Result<()> {
        push(self.repo, kind, &self.branch, version).await
    }

    /// Asks for a deployment, and waits until it is live and answers as this version.
    async fn post(&self, verb: &str, version: &str) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let path = format!("/v1/apps/{}/{verb}", self.id);
        let asked = self.server.ask(Method::POST, &path, json!({})).await?;
        self.live(&asked, begun, version).await
    }

    async fn live(
        &self,
        deployment: &Value,
        begun: Instant,
        version: &str,
    ) -> anyhow::Result<Duration> {
        let id = deployment["id"].as_str().context("no deployment")?;
        let path = format!("/v1/apps/{}/deploys/{id}", self.id);
        while begun.elapsed() < DEPLOY_LIMIT {
            let seen = self.server.ask(Method::GET, &path, Value::Null).await?;
            let took = begun.elapsed();
            match seen["status"].as_str() {
                Some("live") => {
                    let page = self.server.request(Method::GET, "/").header(HOST, &self.host);
                    let page = page.send().await?.error_for_status()?.text().await?;
                    ensure!(page == version, "it shows {page} and not {version}");
                    return Ok(took);
                }
                Some("failed" | "cancelled" | "superseded") => bail!("{seen}"),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        bail!("{path} does not end")
    }
}

async fn push(repo: &Repo, kind: Kind, branch: &str, version: &str) -> anyhow::Result<()> {
    let files = kind.files(branch, version);
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    repo.push(branch, &files, version).await?;
    Ok(())
}

/// Prints the table.
pub(crate) async fn print(arguments: &Arguments, rounds: usize) -> anyhow::Result<()> {
    let &Arguments { ref data, network_pool: pool, runs, .. } = arguments;
    let folder = tempfile::tempdir()?;
    let forge = Forge::start(Settings::new(folder.path(), "token")).await?;
    let repo = forge.create_repo("acme/bench", &[("README.md", b"bench")], "main").await?;
    let host = forge.url().trim_start_matches("http://").to_owned();
    let server = Server::start_with(data, pool, &["--allow-git-host", &host]).await?;
    server.raise_quota()?;
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let mut measured = Measured::default();
        for round in 0..rounds {
            measure(&server, &repo, kind, round, &mut measured).await?;
        }
        all.push((kind, measured));
    }
    server.finish()?;
    forge.stop().await;
    let floor = floor::measure(data, pool, runs, 1).await?.restore;

    println!("| deployments, n={rounds} | p50 ms | p99 ms | p50 / first | p50 / floor |");
    println!("| --- | --- | --- | --- | --- |");
    let least = floor.percentile(50);
    println!(
        "| bare hypervisor: files to `ready` (the floor), n={runs} | {least:.1} | {:.1} | | 1.00 |",
        floor.percentile(99)
    );
    for (kind, measured) in &all {
        let first = measured.first.percentile(50);
        for (what, sample) in [
            ("first", &measured.first),
            ("second, with the same to install", &measured.second),
            ("rollback", &measured.rollback),
            ("restart", &measured.restart),
        ] {
            let (half, most) = (sample.percentile(50), sample.percentile(99));
            println!(
                "| {}: {what} | {half:.0} | {most:.0} | {:.3} | {:.1} |",
                kind.name(),
                half / first,
                half / least
            );
        }
    }
    Ok(())
}

async fn measure(
    server: &Server,
    repo: &Repo,
    kind: Kind,
    round: usize,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    // No other run of the benchmark has installed for it, either.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let branch = format!("bench-{now}-{round}");
    push(repo, kind, &branch, "one").await?;
    let wanted = json!({ "name": branch, "git_url": repo.clone_url(), "git_branch": branch });
    let begun = Instant::now();
    let made = server.ask(Method::POST, "/v1/apps", wanted).await?;
    let id = made["id"].as_str().context("no app")?.to_owned();
    let url = made["url"].as_str().context("no url")?;
    let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let app = App { server, repo, branch, id, host };
    let path = format!("/v1/apps/{}/deploys", app.id);
    let deploys = server.ask(Method::GET, &path, Value::Null).await?;
    measured.first.push(app.live(&deploys["items"][0], begun, "one").await?);
    app.push(kind, "two").await?;
    measured.second.push(app.post("deploys", "two").await?);
    measured.rollback.push(app.post("rollback", "one").await?);
    measured.restart.push(app.post("restart", "one").await?);
    let path = format!("/v1/apps/{}", app.id);
    server.request(Method::DELETE, &path).send().await?.error_for_status()?;
    while server.request(Method::GET, &path).send().await?.status().is_success() {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
