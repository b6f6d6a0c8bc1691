//! Machines outlive the server, and nothing leaks however it ends.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::Context;
use pando_e2e::{Options, Server, prefix, run};
use reqwest::Method;
use serde_json::{Value, json};

async fn status(server: &Server, id: &str) -> anyhow::Result<u16> {
    let answer = server.request(Method::GET, &format!("/v1/sandboxes/{id}")).send().await?;
    Ok(answer.status().as_u16())
}

async fn gone(server: &Server, id: &str, limit: Duration) -> anyhow::Result<()> {
    let begun = std::time::Instant::now();
    while status(server, id).await? != 404 {
        anyhow::ensure!(begun.elapsed() < limit, "{id} is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_and_deadlines_outlive_a_restart() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let kept = server.sandbox(json!({ "persistent": true })).await?.id;
    let short = server.sandbox(json!({ "ttl_seconds": 8 })).await?.id;
    let paused = server.sandbox(json!({})).await?.id;
    let exec = |id: &str| format!("/v1/sandboxes/{id}/exec");
    let start = json!({ "cmd": "cd /srv && echo '<h1>still here</h1>' > index.html && setsid python3 -m http.server 3000 --bind 127.0.0.1 >/dev/null 2>&1 & sleep 3" });
    server.request(Method::POST, &exec(&kept)).json(&start).send().await?.error_for_status()?;
    server
        .request(Method::POST, &format!("/v1/sandboxes/{paused}/pause"))
        .send()
        .await?
        .error_for_status()?;

    server.terminate()?;
    server.launch().await?;

    let host = format!("3000-{kept}.{}", server.suffix());
    let page = server.edge(Method::GET, &host, "/").send().await?;
    assert_eq!(page.status(), 200, "{}", server.log_tail());
    assert!(page.text().await?.contains("still here"));
    let answer = server
        .request(Method::POST, &exec(&kept))
        .json(&json!({ "cmd": "echo yes" }))
        .send()
        .await?;
    assert_eq!(answer.json::<Value>().await?["stdout"], "yes\n");
    server
        .request(Method::POST, &format!("/v1/sandboxes/{paused}/resume"))
        .send()
        .await?
        .error_for_status()?;
    let answer = server
        .request(Method::POST, &exec(&paused))
        .json(&json!({ "cmd": "echo too" }))
        .send()
        .await?;
    assert_eq!(answer.json::<Value>().await?["stdout"], "too\n");
    gone(&server, &short, Duration::from_secs(30)).await?;
    assert_eq!(status(&server, &kept).await?, 200);
    server.finish()
}

/// What a VMM that its guest took over can do to be taken for another one, or for none:
/// its arguments stand in its own memory (proc_pid_stat(5), `arg_start` and `arg_end`).
fn rename(pid: u32, from: &str, to: &str) -> anyhow::Result<()> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The manual counts from 1, and what follows the name is its third.
    let fields: Vec<_> =
        stat.rsplit_once(')').context("no name")?.1.split_ascii_whitespace().collect();
    let (start, end): (u64, u64) = (fields[48 - 3].parse()?, fields[49 - 3].parse()?);
    let memory =
        std::fs::File::options().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
    let mut arguments = vec![0; usize::try_from(end - start)?];
    memory.read_exact_at(&mut arguments, start)?;
    let at = arguments.windows(from.len()).position(|part| part == from.as_bytes());
    let at = u64::try_from(at.context("it does not have that name")?)?;
    Ok(memory.write_all_at(to.as_bytes(), start + at)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vmm_that_lies_about_whose_it_is_is_ended() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let honest = server.sandbox(json!({})).await?.id;
    let impostor = server.sandbox(json!({ "persistent": true })).await?.id;
    let nobody = server.sandbox(json!({})).await?.id;
    let pid = |id: &str| Ok::<u32, anyhow::Error>(run("pgrep", &["-f", id])?.trim().parse()?);
    let (false_one, nameless) = (pid(&impostor)?, pid(&nobody)?);
    rename(false_one, &impostor, &honest)?;
    rename(nameless, "pando:", "other:")?;
    server.terminate()?;
    server.launch().await?;

    for pid in [false_one, nameless] {
        // Who has ended, and is not reaped yet, has no arguments.
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(arguments.is_empty(), "{pid} runs on");
    }
    let exec = server.request(Method::POST, &format!("/v1/sandboxes/{honest}/exec"));
    let answer = exec.json(&json!({ "cmd": "echo yes" })).send().await?;
    assert_eq!(answer.json::<Value>().await?["stdout"], "yes\n", "{}", server.log_tail());
    for id in [impostor, nobody] {
        let answer = server.request(Method::GET, &format!("/v1/sandboxes/{id}")).send().await?;
        assert_eq!(answer.json::<Value>().await?["status"], "failed");
    }
    // Their slots are free again.
    for _ in 0..3 {
        assert_eq!(server.sandbox(json!({})).await?.sh("echo yes").await?, "yes");
    }
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_somebody_removed_keeps_no_server_from_starting() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let cut_off = server.sandbox(json!({})).await?.id;
    let home = server.data().join("pool/sandboxes").join(&cut_off);
    let manifest: Value = serde_json::from_slice(&std::fs::read(home.join("manifest.json"))?)?;
    server.terminate()?;
    let slot = manifest["slot"].as_u64().context("it has no slot")?;
    run("ip", &["netns", "delete", &format!("{}-{slot}", prefix())])?;
    server.launch().await?;

    let answer = server.request(Method::GET, &format!("/v1/sandboxes/{cut_off}")).send().await?;
    let seen: Value = answer.json().await?;
    assert_eq!(seen["status"], "failed", "{seen}");
    let reason = seen["status_reason"].as_str().unwrap_or_default();
    assert!(reason.contains("netns"), "{seen}");
    assert_eq!(server.sandbox(json!({})).await?.sh("echo yes").await?, "yes");
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_finds_its_machines_and_leaks_nothing() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let kept = server.sandbox(json!({})).await?.id;
    // Killed amid a create: nobody was told of that sandbox, so nothing of it may stay.
    let creating = server.request(Method::POST, "/v1/sandboxes").json(&json!({}));
    let creating = tokio::spawn(creating.send());
    tokio::time::sleep(Duration::from_millis(60)).await;
    server.kill()?;
    let _ = creating.await;

    server.launch().await?;
    let answer = server
        .request(Method::POST, &format!("/v1/sandboxes/{kept}/exec"))
        .json(&json!({ "cmd": "echo yes" }))
        .send()
        .await?;
    assert_eq!(answer.json::<Value>().await?["stdout"], "yes\n", "{}", server.log_tail());
    let list: Value = server.request(Method::GET, "/v1/sandboxes").send().await?.json().await?;
    let items = list.get("items").unwrap_or(&list).as_array().map_or(0, Vec::len);
    assert_eq!(items, 1, "{list}");
    // This server's machines only: another server of this host may run others.
    let node: Value = serde_json::from_slice(&std::fs::read(server.data().join("node.json"))?)?;
    let ours = format!("-name pando:{}:", node["id"].as_str().unwrap_or_default());
    let processes = run("pgrep", &["-fc", "--", &ours])?;
    assert_eq!(processes.trim(), "1");
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_dies_says_why() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let pids = run("pgrep", &["-f", &format!("pando:.*:{}", sandbox.id)])?;
    run("kill", &["-9", pids.trim()])?;
    for _ in 0..100 {
        let shown: Value =
            server.request(Method::GET, &sandbox.path("")).send().await?.json().await?;
        if shown["status"] == "failed" {
            assert!(shown["status_reason"].is_string(), "{shown}");
            assert_eq!(sandbox.delete().await?, 204);
            return server.finish();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("nobody noticed")
}
