//! The main job: a pull request opens, its app answers; it closes, all is gone.

use std::time::{Duration, Instant};

use anyhow::ensure;
use pando_e2e::{Options, Server};
use pando_forge::contract::Contract;
use pando_forge::{Forge, Recording, Repo, Settings, Webhook};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "a-webhook-secret";
const TOKEN: &str = "a-forge-token";
/// How long a deployment may take on a busy host under translation.
const DEPLOY_LIMIT: Duration = Duration::from_secs(300);

fn app(greeting: &str) -> Vec<(&'static str, Vec<u8>)> {
    let server = format!(
        "const ms = require('ms');\n\
         require('http').createServer((request, response) => response.end('{greeting} ' + ms('1 day') + ' ' + (process.env.SECRET || 'no secret')))\n\
         .listen(process.env.PORT, '127.0.0.1');\n"
    );
    let package = json!({ "name": "shop", "scripts": { "start": "node server.js" }, "dependencies": { "ms": "2.1.3" } });
    vec![("package.json", package.to_string().into_bytes()), ("server.js", server.into_bytes())]
}

fn files<'a>(app: &'a [(&'static str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    app.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect()
}

struct World {
    server: Server,
    forge: Forge,
    repo: Repo,
}

impl World {
    async fn start() -> anyhow::Result<Self> {
        let root = tempdir("forge")?;
        let settings = Settings { recording: Recording::On, ..Settings::new(root, TOKEN) };
        let forge = Forge::start(settings).await?;
        let host = forge.url().trim_start_matches("http://").to_owned();
        let arguments = ["--github-api", forge.url(), "--allow-git-host", &host].map(str::to_owned);
        let environment = [
            ("PANDO_GITHUB_WEBHOOK_SECRET".to_owned(), SECRET.to_owned()),
            ("PANDO_GITHUB_TOKEN".to_owned(), TOKEN.to_owned()),
        ];
        let options = Options {
            arguments: arguments.into(),
            environment: environment.into(),
            ..Options::default()
        };
        let server = Server::start(options).await?;
        let url = server.url("/v1/webhooks/github");
        forge.set_webhook(Webhook { url, secret: SECRET.to_owned() });
        let first = app("main");
        let repo = forge.create_repo("acme/shop", &files(&first), "main").await?;
        Ok(Self { server, forge, repo })
    }

    async fn create_app(&self) -> anyhow::Result<Value> {
        let body = json!({
            "name": "shop", "git_url": self.repo.clone_url(), "git_branch": "main",
            "env": { "SECRET": "production" },
        });
        let answer = self.server.request(Method::POST, "/v1/apps").json(&body).send().await?;
        ensure!(answer.status().is_success(), "{}", answer.text().await?);
        Ok(answer.json().await?)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.server.request(Method::GET, path).send().await?.error_for_status()?.json().await?)
    }

    async fn previews(&self) -> anyhow::Result<Vec<Value>> {
        let list = self.get("/v1/previews").await?;
        Ok(list.get("items").unwrap_or(&list).as_array().cloned().unwrap_or_default())
    }

    /// Waits until the app's host says `wanted`.
    async fn says(&self, url: &str, wanted: &str) -> anyhow::Result<String> {
        let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let begun = Instant::now();
        loop {
            let answer = self.server.edge(Method::GET, &host, "/").send().await?;
            let (status, text) = (answer.status(), answer.text().await?);
            if status.is_success() && text.contains(wanted) {
                return Ok(text);
            }
            if begun.elapsed() > DEPLOY_LIMIT {
                let deployments = self.previews().await?;
                anyhow::bail!(
                    "{url} says {status} {text}\n{deployments:#?}\n{}",
                    self.server.log_tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn sandboxes(&self) -> anyhow::Result<usize> {
        let list = self.get("/v1/sandboxes").await?;
        Ok(list.get("items").unwrap_or(&list).as_array().map_or(0, Vec::len))
    }

    async fn settle_at(&self, sandboxes: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.sandboxes().await? != sandboxes {
            ensure!(
                begun.elapsed() < Duration::from_secs(60),
                "{} sandboxes",
                self.sandboxes().await?
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn finish(self) -> anyhow::Result<()> {
        // All that was said between the two is what GitHub could have said.
        let contract = Contract::load()?;
        let exchanges = self.forge.exchanges();
        ensure!(exchanges.len() > 3, "hardly anything was said");
        for exchange in &exchanges {
            contract.check(exchange)?;
        }
        self.server.finish()?;
        self.forge.stop().await;
        Ok(())
    }
}

fn tempdir(name: &str) -> anyhow::Result<std::path::PathBuf> {
    let dir = std::env::temp_dir().join(format!("pando-e2e-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_lives_and_dies_with_its_preview() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let made = world.create_app().await?;
    let app_url = made["url"].as_str().unwrap_or_default().to_owned();
    let main = world.says(&app_url, "main").await?;
    assert_eq!(main, "main 86400000 production");

    // Opened: a URL that says the branch's words, without the app's secrets.
    world.repo.commit("blue", &files(&app("blue")), "Blue").await?;
    let pull = world.repo.open_pull_request("blue", "main", "Make it blue").await?;
    let preview = world.previews().await?.first().cloned().unwrap_or_default();
    assert_eq!(preview["pr_number"], pull.number, "{:?}", pull.deliveries);
    let url = preview["preview_url"].as_str().unwrap_or_default().to_owned();
    assert_eq!(world.says(&url, "blue").await?, "blue 86400000 no secret");
    let id = preview["id"].as_str().unwrap_or_default().to_owned();
    let deployments = world.get(&format!("/v1/apps/{id}/deploys")).await?;
    let first = deployments.get("items").unwrap_or(&deployments)[0].clone();
    assert_eq!(first["git_commit"], pull.head_sha);
    let log = world.server.request(
        Method::GET,
        &format!("/v1/apps/{id}/deploys/{}/logs", first["id"].as_str().unwrap_or_default()),
    );
    let log = log.send().await?.text().await?;
    assert!(log.contains("package.json") && log.trim_end().ends_with("data: end"), "{log}");

    // The comment is there, and names the URL.
    let begun = Instant::now();
    loop {
        let comments = world.repo.comments(pull.number)?;
        if comments.len() == 1 && comments[0].body.contains(&url) {
            break;
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(30),
            "{comments:?}\n{}",
            world.server.log_tail()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // The same delivery again builds nothing again.
    if let Some(delivery) = pull.deliveries.first() {
        world.forge.redeliver(delivery.id).await?;
    }
    let again = world.get(&format!("/v1/apps/{id}/deploys")).await?;
    assert_eq!(again.get("items").unwrap_or(&again).as_array().map(Vec::len), Some(1));

    // A restart keeps it.
    world.server.terminate()?;
    world.server.launch().await?;
    assert!(world.says(&url, "blue").await?.starts_with("blue"));

    // Pushed: the same URL, new words; the old sandbox goes.
    world.repo.push("blue", &files(&app("navy")), "Navy").await?;
    world.says(&url, "navy").await?;
    assert_eq!(world.previews().await?[0]["preview_url"], url.as_str());
    assert_eq!(world.repo.comments(pull.number)?.len(), 1);
    world.settle_at(2).await?;

    // A broken push keeps what was live, and says why it failed.
    let broken = [("server.js", b"process.exit(3)".as_slice())];
    let pushed = world.repo.push("blue", &broken, "Break it").await?;
    let begun = Instant::now();
    let failed = loop {
        let deployments = world.get(&format!("/v1/apps/{id}/deploys")).await?;
        let newest = deployments.get("items").unwrap_or(&deployments)[0].clone();
        if newest["git_commit"] == pushed.sha.as_str() && newest["status"] == "failed" {
            break newest;
        }
        ensure!(begun.elapsed() < DEPLOY_LIMIT, "{newest}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    assert!(failed["error"].is_string());
    assert!(world.says(&url, "navy").await?.starts_with("navy"));
    world.settle_at(2).await?;

    // Closed: all of it is gone, and only of it.
    world.repo.close_pull_request(pull.number).await?;
    world.settle_at(1).await?;
    assert!(world.previews().await?.is_empty());
    let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    assert_eq!(world.server.edge(Method::GET, &host, "/").send().await?.status(), 404);
    assert!(world.says(&app_url, "main").await?.starts_with("main"));

    // Reopened: the same URL again.
    world.repo.reopen_pull_request(pull.number).await?;
    let back = world.previews().await?;
    assert_eq!(back[0]["preview_url"], url.as_str());
    world.repo.close_pull_request(pull.number).await?;
    let deleted = world
        .server
        .request(Method::DELETE, &format!("/v1/apps/{}", made["id"].as_str().unwrap_or_default()));
    assert_eq!(deleted.send().await?.status(), 204);
    world.settle_at(0).await?;
    world.finish().await
}
