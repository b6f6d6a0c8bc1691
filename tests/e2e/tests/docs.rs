//! The pages for users, kept true: their shell blocks are run, in order, as one script.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use pando_e2e::{Options, Server, program};
use tokio::process::Command;

/// How long a page's commands may take together.
const PATIENCE: Duration = Duration::from_secs(300);

/// The `sh` blocks of a page, one after another.
fn script(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_on_sandboxes_says_can_be_done() -> anyhow::Result<()> {
    can_be_done("sandboxes.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_on_templates_says_can_be_done() -> anyhow::Result<()> {
    can_be_done("templates.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_on_volumes_says_can_be_done() -> anyhow::Result<()> {
    can_be_done("volumes.md").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_on_schedules_says_can_be_done() -> anyhow::Result<()> {
    can_be_done("schedules.md").await
}

async fn can_be_done(page: &str) -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let script = script(&std::fs::read_to_string(page)?);
    ensure!(script.contains("pando sandbox create"), "no commands on the page");
    let bin = program("pando").parent().context("no folder")?.to_owned();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let run = Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &script])
        .env("PATH", path)
        .env("PANDO_API_URL", server.url(""))
        .env("PANDO_API_KEY", server.api_key())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await.context("the commands do not end")??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    server.finish()
}
