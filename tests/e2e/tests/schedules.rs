//! A schedule wakes a real machine, and it sleeps again when the command is over.

use std::time::Duration;

use anyhow::{Context, ensure};
use pando_e2e::{Options, Sandbox, Server};
use reqwest::Method;
use serde_json::{Value, json};

/// A minute until it is due, and what a loaded host takes to wake a machine.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(200);

async fn get(server: &Server, path: &str) -> anyhow::Result<Value> {
    let answer = server.request(Method::GET, path).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}

/// Waits until what a path shows is so.
async fn until(server: &Server, path: &str, so: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = get(server, path).await?;
        if so(&seen) {
            return Ok(seen);
        }
        ensure!(tokio::time::Instant::now() < deadline, "{seen}: {}", server.log_tail());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn add(server: &Server, sandbox: &Sandbox<'_>, wanted: Value) -> anyhow::Result<Value> {
    let path = sandbox.path("/schedules");
    let made = server.request(Method::POST, &path).json(&wanted).send().await?;
    ensure!(made.status() == 201, "{}: {}", made.status(), made.text().await?);
    Ok(made.json().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sleeps_is_woken_for_its_schedule_and_sleeps_again() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let wanted = json!({ "cpu": 1, "memory_mb": 512, "idle_timeout_seconds": 4 });
    let sandbox = server.sandbox(wanted).await?;
    sandbox.sh("echo memory > /run/mark").await?;
    // Before there is a schedule, which wakes nothing by being added.
    let hibernated = server.request(Method::POST, &sandbox.path("/hibernate")).send().await?;
    hibernated.error_for_status()?;
    let command = "cat /run/mark >> /root/mark; echo done; date -u +%FT%H:%M; exit 7";
    let wanted = json!({ "cron": "* * * * *", "command": command });
    let made = add(&server, &sandbox, wanted).await?;
    let path = sandbox.path(&format!("/schedules/{}", made["id"].as_str().context("no id")?));

    let ran = until(&server, &path, |seen| !seen["last_run"].is_null()).await?;
    let run = &ran["last_run"];
    ensure!(run["exit_code"] == 7 && run["error"].is_null(), "{ran}");
    let said = run["output"].as_str().context("no output")?;
    ensure!(said.starts_with("done\n"), "{ran}");
    // By the guest's own clock, too: the minute that it was due in, where the wake was quick.
    let due = run["due_at"].as_str().context("no due time")?;
    ensure!(due.ends_with(":00.000Z") && run["started_at"].as_str() >= Some(due), "{ran}");
    ensure!(said.trim_end().lines().last() >= due.get(..16), "{ran}");

    let pause = server.request(Method::PATCH, &path).json(&json!({ "paused": true })).send();
    pause.await?.error_for_status()?;
    until(&server, &path, |seen| seen["running_since"].is_null()).await?;
    until(&server, &sandbox.path(""), |seen| seen["status"] == "hibernated").await?;
    let events = get(&server, &sandbox.path("/events")).await?;
    let events = events["events"].as_array().context("no events")?;
    let kinds: Vec<_> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    // A second minute may have come before the pause.
    ensure!(kinds.ends_with(&["hibernated", "woken", "hibernated"]), "{kinds:?}");
    let marks = sandbox.sh("sort -u /root/mark").await?;
    ensure!(marks == "memory", "{marks}");
    server.finish()
}
