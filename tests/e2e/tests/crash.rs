//! The server ends at any instant, and every sandbox is as before or as after.

use anyhow::{Context, ensure};
use pando_e2e::{Fault, Options, Sandbox, Server, orphans, prefix, run};
use reqwest::Method;
use serde_json::json;

/// Steps that no request leads to yet; the node's own tests end a server in each.
const STEPS_WITHOUT_ROUTE: [&str; 5] = ["save.", "snapshot.", "fork.", "hibernate.", "wake."];

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

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_before_or_after() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let kept = server.sandbox(json!({ "persistent": true })).await?.id;
    for fault in Fault::ALL {
        let name = fault.name();
        if STEPS_WITHOUT_ROUTE.iter().any(|step| name.starts_with(step)) {
            continue;
        }
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
        let mut known: Vec<String> =
            server.sandboxes().await?.into_iter().map(|(id, _)| id).collect();
        if let Some(victim) = victim {
            // Wanted gone before the end: it goes at the start, or when it is asked again.
            let gone = Sandbox::of(&server, &victim).delete().await?;
            ensure!(gone == 204, "{name}: deleting again answered {gone}");
            known.retain(|id| *id != victim);
        }
        if *fault == Fault::CreateRecorded
            && let Some(made) = known.iter().find(|id| **id != kept).cloned()
        {
            // Its row may have been written in the last moment: then it is whole.
            let made = Sandbox::of(&server, &made);
            ensure!(made.sh("echo on").await.context(name)? == "on");
            ensure!(made.delete().await? == 204, "{name}");
            known.retain(|id| *id != made.id);
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
