//! One app of a test, through the API and its page.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::Value;

use crate::server::Server;

/// How long a deployment, or an app that leaves, may take on a busy host under translation.
const LIMIT: Duration = Duration::from_secs(120);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// An app that a test made. It outlives the process of the server that made it.
#[derive(Debug)]
pub struct App {
    id: String,
    host: String,
}

impl App {
    /// Makes one of these fields.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn create(server: &Server, fields: &Value) -> anyhow::Result<Self> {
        let answer = server.request(Method::POST, "/v1/apps").json(fields).send().await?;
        let status = answer.status();
        let made: Value = answer.json().await?;
        ensure!(status.is_success(), "{status}: {made}");
        let url = made["url"].as_str().context("no url")?;
        let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Ok(Self { id: made["id"].as_str().context("no id")?.to_owned(), host })
    }

    /// The path of one of its routes.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/apps/{}{rest}", self.id)
    }

    /// Its deployments, newest first.
    ///
    /// # Errors
    /// When the API does not answer with a list.
    pub async fn deployments(&self, server: &Server) -> anyhow::Result<Vec<Value>> {
        list(server, &self.path("/deploys")).await
    }

    /// The webhooks about its repository, newest first.
    ///
    /// # Errors
    /// When the API does not answer with a list.
    pub async fn deliveries(&self, server: &Server) -> anyhow::Result<Vec<Value>> {
        list(server, &self.path("/deliveries")).await
    }

    /// What its page shows.
    ///
    /// # Errors
    /// When it shows none.
    pub async fn page(&self, server: &Server) -> anyhow::Result<String> {
        let answer = server.edge(Method::GET, &self.host, "/").send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 200, "the page answers {status}: {text}");
        Ok(text)
    }

    /// Waits until its newest deployment is live.
    ///
    /// # Errors
    /// When it ends otherwise, or does not.
    pub async fn until_live(&self, server: &Server) -> anyhow::Result<Value> {
        let begun = Instant::now();
        loop {
            let newest = self.deployments(server).await?.into_iter().next().context("none")?;
            match newest["status"].as_str() {
                Some("live") => return Ok(newest),
                Some("failed" | "cancelled" | "superseded") => {
                    anyhow::bail!("it ended: {newest}\n{}", server.log_tail())
                }
                _ => {}
            }
            ensure!(begun.elapsed() < LIMIT, "it does not end: {newest}\n{}", server.log_tail());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// All of a list, in one page.
async fn list(server: &Server, path: &str) -> anyhow::Result<Vec<Value>> {
    let answer = server.request(Method::GET, path).send().await?.error_for_status()?;
    let mut answer: Value = answer.json().await?;
    ensure!(answer["next_cursor"].is_null(), "{path} has more than a page");
    serde_json::from_value(answer["items"].take()).context("no list")
}

/// Removes every app: what a run that failed left, say.
///
/// # Errors
/// When one stays.
pub async fn remove_apps(server: &Server) -> anyhow::Result<()> {
    for app in list(server, "/v1/apps").await? {
        let path = format!("/v1/apps/{}", app["id"].as_str().context("no id")?);
        server.request(Method::DELETE, &path).send().await?.error_for_status()?;
        let begun = Instant::now();
        while server.request(Method::GET, &path).send().await?.status() != 404 {
            ensure!(begun.elapsed() < LIMIT, "{app} stays");
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
