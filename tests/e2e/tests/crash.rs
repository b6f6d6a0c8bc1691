//! The server ends at any instant, and every sandbox is as before or as after.

use anyhow::{Context, ensure};
use pando_e2e::{Fault, Options, Sandbox, Server, prefix, run};
use reqwest::Method;
use serde_json::{Value, json};

/// What is tried for a fault: the step whose name it begins with.
async fn provoke(server: &Server, fault: Fault, kept: &str, victim: Option<&str>) {
    let post = |path: String| server.request(Method::POST, &path).json(&json!({})).send();
    let sandbox = |id: &str, rest: &str| format!("/v1/sandboxes/{id}{rest}");
    // No answer is expected of any of these: the server ends in their midst.
    let step = fault.name().split('.').next().unwrap_or_default();
    let _ = match (step, victim) {
        ("pause", _) => post(sandbox(kept, "/pause")).await,
        ("resume", _) => post(sandbox(kept, "/resume")).await,
        ("delete", Some(id)) => server.request(Method::DELETE, &sandbox(id, "")).send().await,
        _ => post("/v1/sandboxes".into()).await,
    };
}

/// The sandboxes that the API knows, by id.
async fn known(server: &Server) -> anyhow::Result<Vec<String>> {
    let answer: Value = server.request(Method::GET, "/v1/sandboxes").send().await?.json().await?;
    let items = answer.get("items").unwrap_or(&answer).as_array().context("no list")?;
    Ok(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect())
}

/// What this host holds of the server beside the sandboxes that it knows.
fn orphans(server: &Server, known: &[String]) -> anyhow::Result<Vec<String>> {
    let node: Value = serde_json::from_slice(&std::fs::read(server.data().join("node.json"))?)?;
    let owner = format!("pando:{}:", node["id"].as_str().context("no node id")?);
    let processes = run("ps", &["-eo", "args"])?;
    let mut orphans: Vec<String> = processes
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(&owner)?.split(',').next())
        .filter(|machine| !known.iter().any(|id| id == machine))
        .map(|machine| format!("machine {machine}"))
        .collect();
    for (folder, may_hold_known) in [("pool/sandboxes", true), ("pool/staging", false)] {
        for entry in std::fs::read_dir(server.data().join(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !(may_hold_known && known.contains(&name)) {
                orphans.push(format!("{folder}/{name}"));
            }
        }
    }
    Ok(orphans)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_before_or_after() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let kept = server.sandbox(json!({ "persistent": true })).await?.id;
    for fault in Fault::ALL {
        let name = fault.name();
        let victim = match name.starts_with("delete.") {
            true => Some(server.sandbox(json!({})).await?.id),
            false => None,
        };
        if name.starts_with("resume.") {
            let pause = server.request(Method::POST, &format!("/v1/sandboxes/{kept}/pause"));
            pause.send().await?.error_for_status()?;
        }
        server.terminate()?;
        server.set_fault(Some(*fault));
        // A fault of the start ends it before it is ready.
        if server.launch().await.is_ok() {
            provoke(&server, *fault, &kept, victim.as_deref()).await;
        }
        server.crashed().await.context(name)?;

        server.set_fault(None);
        server.launch().await.context(name)?;
        let mut known = known(&server).await?;
        if let Some(victim) = victim {
            // Wanted gone before the end: it goes at the start, or when it is asked again.
            let gone = Sandbox::of(&server, &victim).delete().await?;
            ensure!(gone == 204, "{name}: deleting again answered {gone}");
            known.retain(|id| *id != victim);
        }
        ensure!(known == [kept.as_str()], "{name}: {known:?}");
        let survivor = Sandbox::of(&server, &kept);
        let resume = server.request(Method::POST, &survivor.path("/resume"));
        resume.send().await?.error_for_status().context(name)?;
        ensure!(survivor.sh("echo on").await.context(name)? == "on");
        let orphans = orphans(&server, &known)?;
        ensure!(orphans.is_empty(), "{name}: {orphans:?}\n{}", server.log_tail());
    }
    ensure!(run("ip", &["netns", "list"])?.contains(&prefix()), "no slot was looked at");
    server.finish()
}
