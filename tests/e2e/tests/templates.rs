//! Builds of templates that are cut off. What they do when they are not, the SDK's tests show.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pando_e2e::{Options, Server, machines};
use reqwest::Method;
use serde_json::Value;

/// How long the machine that builds may take to be there: it may have to be made first.
const PATIENCE: Duration = Duration::from_secs(600);

async fn get(server: &Server, path: &str) -> anyhow::Result<Value> {
    let answer = server.request(Method::GET, path).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_cut_off_fails_and_leaves_nothing() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let form = "name=cut&size_mb=4096&dockerfile=FROM+base%0ARUN+sleep+600%0A";
    let asked = server
        .request(Method::POST, "/v1/templates/build")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let build: Value = asked.send().await?.error_for_status()?.json().await?;
    let path = format!("/v1/templates/builds/{}", build["id"].as_str().context("no id")?);
    let begun = Instant::now();
    // What is baked first is no machine of a build.
    while machines(&server)?.iter().all(|(name, _)| name == "bake") {
        ensure!(
            begun.elapsed() < PATIENCE,
            "{}\n{}",
            get(&server, &path).await?,
            server.log_tail()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    server.kill()?;
    server.launch().await?;
    let ended = get(&server, &path).await?;
    ensure!(ended["status"] == "failed", "{ended}");
    ensure!(ended["error"].as_str().is_some_and(|why| why.contains("stopped")), "{ended}");
    ensure!(machines(&server)?.is_empty(), "its machine is still there");
    ensure!(
        get(&server, "/v1/templates").await?["items"].as_array().context("no list")?.len() == 1
    );
    server.finish()
}
