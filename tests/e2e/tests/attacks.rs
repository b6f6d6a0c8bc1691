//! A guest does its worst, and its neighbour goes on. How much slower it goes is
//! measured by `make bench`.

use std::time::Duration;

use anyhow::{Context, ensure};
use pando_e2e::{Attack, Options, Sandbox, Server, vmm_of};
use pando_types::limits::MAX_HELD_BYTES;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How often the neighbour and the server are asked while an attack goes on.
const QUESTIONS: usize = 15;
/// Between two questions: an attack is to have time to get somewhere.
const PAUSE: Duration = Duration::from_millis(700);
/// Commands at once that say all that is kept of them, in bytes that JSON spells in six
/// letters each: their answers have 96 MiB.
const FLOODS: usize = 60;
const FLOOD: &str = "head -c 8M /dev/zero; head -c 8M /dev/zero >&2";
/// How many of these run.
const RUNNING: &str = "pgrep -cx head || true";
/// What the server may take beside what it counts.
const BESIDE_BYTES: usize = 256 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_guest_does_its_neighbour_and_the_server_go_on() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let neighbour = server.sandbox(json!({})).await?;
    for attack in Attack::ALL {
        let attacker = server.sandbox(json!({})).await?;
        // Whatever becomes of the answer: it is the attacker's.
        let begin = server.request(Method::POST, &attacker.path("/exec")).json(&attack.exec());
        let begun = tokio::spawn(begin.send());
        for _ in 0..QUESTIONS {
            tokio::time::sleep(PAUSE).await;
            still_serves(&server, &neighbour).await.context(attack.name)?;
        }
        alive_or_dead_with_a_reason(&server, &attacker).await.context(attack.name)?;
        ensure!(attacker.delete().await? == 204, "{}: not deleted", attack.name);
        begun.abort();
        let _ = begun.await;
        still_serves(&server, &neighbour).await.context(attack.name)?;
    }
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_that_nobody_reads_leave_the_server_its_memory() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let attacker = server.sandbox(json!({})).await?;
    let mut floods = JoinSet::new();
    for _ in 0..FLOODS {
        let flood = server.request(Method::POST, &attacker.path("/exec"));
        floods.spawn(flood.json(&json!({ "cmd": FLOOD, "timeout_seconds": 300 })).send());
    }
    // Of an answer that was not read, the client has the head.
    let (mut unread, mut refused) = (Vec::new(), 0);
    while let Some(answer) = floods.join_next().await {
        let answer = answer??;
        match answer.status() {
            StatusCode::OK => unread.push(answer),
            StatusCode::SERVICE_UNAVAILABLE => refused += 1,
            other => anyhow::bail!("answered {other}"),
        }
        let health = server.client().get(server.url("/healthz")).send().await?;
        ensure!(health.status() == 200, "the server's health is {}", health.status());
    }
    let pid = server.pid().context("no server")?;
    let (ours, its) = (oom_score(pid)?, oom_score(vmm_of(&attacker.id)?)?);
    // Without CAP_SYS_RESOURCE the server's stays as it was, which it says in its log.
    ensure!(ours <= 0 && ours < its, "out of memory, the server goes first: {ours}, {its}");
    let peak_bytes = peak_bytes(pid)?;
    println!("{} unread, {refused} refused, at most {} MiB", unread.len(), peak_bytes >> 20);
    ensure!(!unread.is_empty() && refused > 0, "{} unread, {refused} refused", unread.len());
    ensure!(peak_bytes <= MAX_HELD_BYTES / 2 + BESIDE_BYTES, "{} MiB", peak_bytes >> 20);
    // What nobody reads any more makes room again, and what was refused runs no more.
    drop(unread);
    let mut running = attacker.sh(RUNNING).await;
    for _ in 0..QUESTIONS {
        if running.as_ref().is_ok_and(|count| count == "0") {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        running = attacker.sh(RUNNING).await;
    }
    ensure!(running? == "0", "some of the commands run on");
    ensure!(attacker.delete().await? == 204, "not deleted");
    server.finish()
}

/// What is added to a process's badness where memory is used up.
fn oom_score(pid: u32) -> anyhow::Result<i32> {
    Ok(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))?.trim().parse()?)
}

/// The most memory that a process ever had.
fn peak_bytes(pid: u32) -> anyhow::Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? << 10)
}

async fn still_serves(server: &Server, neighbour: &Sandbox<'_>) -> anyhow::Result<()> {
    let health = server.client().get(server.url("/healthz")).send().await?;
    ensure!(health.status() == 200, "the server's health is {}", health.status());
    ensure!(neighbour.sh("echo on").await? == "on");
    Ok(())
}

async fn alive_or_dead_with_a_reason(
    server: &Server,
    attacker: &Sandbox<'_>,
) -> anyhow::Result<()> {
    let shown = server.request(Method::GET, &attacker.path("")).send().await?;
    let shown: Value = shown.error_for_status()?.json().await?;
    match shown["status"].as_str() {
        Some("running") => Ok(()),
        Some("failed") => {
            let reason = shown["status_reason"].as_str().unwrap_or_default();
            println!("{}: {reason}", attacker.id);
            ensure!(!reason.is_empty(), "it is dead, and nobody says why");
            Ok(())
        }
        other => anyhow::bail!("its status is {other:?}"),
    }
}
