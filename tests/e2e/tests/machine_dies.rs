//! The machine ends at any step of its copying, sleep and wake: the sandbox then sleeps, or
//! has failed with a reason and comes back from its disk; no memory meets a newer disk.

use anyhow::{Context, ensure};
use pando_e2e::{Fault, Options, Sandbox, Server, kill, orphans, vmm_of};
use reqwest::Method;
use serde_json::{Value, json};

/// Moments at which there is a machine to end, and what is under way then: one of each
/// kind of outcome. `make test-sleep` has the others, too.
const STEPS: [(Fault, &str); 8] = [
    (Fault::SaveStopped, "snapshots"),
    (Fault::SnapshotSynced, "snapshots"),
    (Fault::ForkTaken, "fork"),
    (Fault::SaveFrozen, "hibernate"),
    (Fault::HibernateSynced, "hibernate"),
    (Fault::HibernateDurable, "hibernate"),
    (Fault::WakeStarted, "wake"),
    (Fault::WakeBuried, "wake"),
];
const MORE_STEPS: [(Fault, &str); 14] = [
    (Fault::SaveFrozen, "snapshots"),
    (Fault::SaveWritten, "snapshots"),
    (Fault::SaveResumed, "snapshots"),
    (Fault::SaveMoved, "snapshots"),
    (Fault::SnapshotRowed, "snapshots"),
    (Fault::SnapshotNamed, "snapshots"),
    (Fault::ForkRowed, "fork"),
    (Fault::SaveStopped, "fork"),
    (Fault::SaveMoved, "fork"),
    (Fault::ForkMade, "fork"),
    (Fault::SaveStopped, "hibernate"),
    (Fault::SaveWritten, "hibernate"),
    (Fault::WakeReady, "wake"),
    (Fault::WakeRecorded, "wake"),
];

async fn post(server: &Server, path: &str) -> anyhow::Result<u16> {
    let answer = server.request(Method::POST, path).json(&json!({})).send().await?;
    Ok(answer.status().as_u16())
}

async fn get(server: &Server, path: &str) -> anyhow::Result<Value> {
    Ok(server.request(Method::GET, path).send().await?.error_for_status()?.json().await?)
}

/// Whatever there is beside the sandbox is whole: it runs, and its memory and disk agree.
async fn whole(server: &Server, id: &str) -> anyhow::Result<()> {
    let marks = Sandbox::of(server, id).sh("echo $(cat /root/mark /run/mark)").await?;
    let (disk, memory) = marks.split_once(' ').context("no two marks")?;
    ensure!(disk == memory, "the disk is of round {disk}, the memory of {memory}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_ends_at_any_step_fails_or_sleeps() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let mut booted = 0;
    let more = if std::env::var_os("PANDO_SLEEP_ROUNDS").is_some() { &MORE_STEPS[..] } else { &[] };
    for (round, &(fault, verb)) in STEPS.iter().chain(more).enumerate() {
        let name = format!("{} in {verb}", fault.name());
        let kept = server.sandbox(json!({ "persistent": true })).await?.id;
        let sandbox = Sandbox::of(&server, &kept);
        sandbox
            .sh(&format!("echo {round} | tee /root/mark > /run/mark; sync"))
            .await
            .context(name.clone())?;
        if verb == "wake" {
            ensure!(post(&server, &sandbox.path("/hibernate")).await? < 300, "{name}");
        }
        server.terminate()?;
        server.set_hold(fault);
        server.launch().await?;

        let path = format!("/v1/sandboxes/{kept}/{verb}");
        let mut asked = Box::pin(post(&server, &path));
        if let Err(answered) = server.held(&mut asked).await {
            anyhow::bail!("{name}: answered {answered:?} before it came there");
        }
        kill(vmm_of(&kept).context(name.clone())?)?;
        server.let_go()?;
        let status = asked.await.context(name.clone())?;
        ensure!(status != 500, "{name}: answered {status}\n{}", server.log_tail());

        // Its row is told a moment after.
        let mut seen = get(&server, &format!("/v1/sandboxes/{kept}")).await?;
        for _ in 0..100 {
            if seen["status"] != "running" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            seen = get(&server, &format!("/v1/sandboxes/{kept}")).await?;
        }
        match seen["status"].as_str().context("no status")? {
            // As it was before, or is after: it goes on from one moment.
            "hibernated" | "running" => {
                ensure!(
                    post(&server, &format!("/v1/sandboxes/{kept}/wake")).await? < 300,
                    "{name}"
                );
                whole(&server, &kept).await.context(name.clone())?;
            }
            "failed" => {
                // Nobody had been told that it was awake, and its image was there.
                let had_image = [Fault::WakeStarted, Fault::WakeReady, Fault::WakeRecorded];
                ensure!(!had_image.contains(&fault), "{name}: it failed, and had an image: {seen}");
                let reason = seen["status_reason"].as_str().unwrap_or_default();
                ensure!(!reason.is_empty(), "{name}: it failed for no reason: {seen}");
                // Its memory went with its machine; its disk is booted.
                ensure!(
                    post(&server, &format!("/v1/sandboxes/{kept}/wake")).await? < 300,
                    "{name}"
                );
                let sandbox = Sandbox::of(&server, &kept);
                let marks = sandbox.sh("cat /root/mark; ls /run/mark").await;
                let mark = sandbox.sh("cat /root/mark").await.context(name.clone())?;
                ensure!(mark == round.to_string() && marks.is_err(), "{name}: {mark} {marks:?}");
                booted += 1;
            }
            other => anyhow::bail!("{name}: it is {other}"),
        }
        // What was made of it lives on its own.
        for (id, _) in server.sandboxes().await?.into_iter().filter(|(id, _)| *id != kept) {
            whole(&server, &id).await.context(name.clone())?;
            ensure!(Sandbox::of(&server, &id).delete().await? == 204, "{name}");
        }
        let snapshots = get(&server, &format!("/v1/snapshots?sandbox_id={kept}")).await?;
        for snapshot in snapshots["snapshots"].as_array().context("no list")? {
            let made = server.sandbox(json!({ "from_snapshot": snapshot["id"] })).await?;
            whole(&server, &made.id).await.context(name.clone())?;
            ensure!(made.delete().await? == 204, "{name}");
            let path = format!("/v1/snapshots/{}", snapshot["id"].as_str().context("no id")?);
            server.request(Method::DELETE, &path).send().await?.error_for_status()?;
        }
        ensure!(Sandbox::of(&server, &kept).delete().await? == 204, "{name}");
        let orphans = orphans(&server, &[])?;
        ensure!(orphans.is_empty(), "{name}: {orphans:?}\n{}", server.log_tail());
        server.terminate()?;
        server.set_fault(None);
        server.launch().await?;
    }
    ensure!(booted > 0, "none was booted from its disk");
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_ends_with_its_server_leaves_its_disk() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    for persistent in [true, false] {
        let id = server.sandbox(json!({ "persistent": persistent })).await?.id;
        let sandbox = Sandbox::of(&server, &id);
        sandbox.sh("echo there | tee /root/mark > /run/mark; sync").await?;
        let vmm = vmm_of(&id)?;
        server.kill()?;
        kill(vmm)?;
        server.launch().await?;

        let seen = get(&server, &format!("/v1/sandboxes/{id}")).await?;
        ensure!(seen["status"] == "failed", "{seen}");
        ensure!(!seen["status_reason"].as_str().unwrap_or_default().is_empty(), "{seen}");
        ensure!(post(&server, &format!("/v1/sandboxes/{id}/wake")).await? < 300, "{id}");
        let sandbox = Sandbox::of(&server, &id);
        ensure!(sandbox.sh("cat /root/mark").await? == "there");
        ensure!(sandbox.sh("test ! -e /run/mark && echo gone").await? == "gone");
        ensure!(sandbox.delete().await? == 204);
    }
    server.finish()
}
