//! The server ends at any instant, and every sandbox is as before or as after.

use anyhow::{Context, ensure};
use pando_e2e::{Fault, Options, Sandbox, Server, orphans, prefix, run};
use reqwest::Method;
use serde_json::{Value, json};

/// What a fault is met by: the step whose name it begins with.
fn step(fault: Fault) -> &'static str {
    fault.name().split('.').next().unwrap_or_default()
}

/// What is tried for a fault. No answer is expected: the server ends in its midst.
async fn provoke(server: &Server, fault: Fault, kept: &str, victim: Option<&str>) {
    let post = |path: String| server.request(Method::POST, &path).json(&json!({})).send();
    let kept = |verb: &str| format!("/v1/sandboxes/{kept}/{verb}");
    let _ = match (step(fault), victim) {
        ("delete", Some(id)) => {
            server.request(Method::DELETE, &format!("/v1/sandboxes/{id}")).send().await
        }
        ("snapshot", Some(id)) => {
            server.request(Method::DELETE, &format!("/v1/snapshots/{id}")).send().await
        }
        ("volume", Some(name)) => {
            server.request(Method::DELETE, &format!("/v1/volumes/{name}")).send().await
        }
        ("volume", None) => {
            let made = server.request(Method::POST, "/v1/volumes");
            made.json(&json!({ "name": "victim", "size_mb": 16 })).send().await
        }
        ("save" | "snapshot", _) => post(kept("snapshots")).await,
        (verb @ ("pause" | "resume" | "fork" | "hibernate" | "wake"), _) => post(kept(verb)).await,
        _ => post("/v1/sandboxes".into()).await,
    };
}

/// What must be there before a fault is met: a state of the kept sandbox, or a victim.
async fn prepare(
    server: &Server,
    fault: Fault,
    kept: &Sandbox<'_>,
) -> anyhow::Result<Option<String>> {
    let post = async |path: String| -> anyhow::Result<Value> {
        let answer = server.request(Method::POST, &path).json(&json!({})).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    };
    let made = match (step(fault), fault) {
        ("delete", _) => server.sandbox(json!({})).await?.made,
        (_, Fault::SnapshotUnwanted) => post(kept.path("/snapshots")).await?,
        (_, Fault::VolumeUnwanted | Fault::VolumeRemoved) => {
            return volume(server, "victim").await.map(Some);
        }
        ("resume", _) => return post(kept.path("/pause")).await.map(|_| None),
        ("wake", _) => return post(kept.path("/hibernate")).await.map(|_| None),
        _ => return Ok(None),
    };
    Ok(Some(made["id"].as_str().context("no id")?.to_owned()))
}

async fn volume(server: &Server, name: &str) -> anyhow::Result<String> {
    let made = server.request(Method::POST, "/v1/volumes");
    let made = made.json(&json!({ "name": name, "size_mb": 64 })).send().await?;
    made.error_for_status()?;
    Ok(name.to_owned())
}

/// Volumes that are listed are whole; none but the kept one is wanted any more.
async fn remove_volumes(server: &Server) -> anyhow::Result<()> {
    let list = server.request(Method::GET, "/v1/volumes").send().await?.error_for_status()?;
    let list: Value = list.json().await?;
    for volume in list["items"].as_array().context("no list")? {
        let name = volume["name"].as_str().context("no name")?;
        if name == "kept" {
            continue;
        }
        let made = server.sandbox(json!({ "volumes": [{ "name": name }] })).await?;
        ensure!(made.sh(&format!("ls /volumes/{name}")).await? == "lost+found");
        ensure!(made.delete().await? == 204);
        let path = format!("/v1/volumes/{name}");
        server.request(Method::DELETE, &path).send().await?.error_for_status()?;
    }
    Ok(())
}

/// Snapshots that are listed are whole; none is wanted any more.
async fn remove_snapshots(server: &Server, kept: &str) -> anyhow::Result<()> {
    let path = format!("/v1/snapshots?sandbox_id={kept}");
    let list = server.request(Method::GET, &path).send().await?.error_for_status()?;
    let list: Value = list.json().await?;
    for snapshot in list["snapshots"].as_array().context("no list")? {
        let id = &snapshot["id"];
        let made = server.sandbox(json!({ "from_snapshot": id })).await?;
        ensure!(
            made.sh("cat /root/mark /run/mark /volumes/kept/mark | uniq | wc -l").await? == "1"
        );
        ensure!(made.delete().await? == 204);
        let path = format!("/v1/snapshots/{}", id.as_str().context("no id")?);
        server.request(Method::DELETE, &path).send().await?.error_for_status()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_before_or_after() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    volume(&server, "kept").await?;
    let kept = json!({ "persistent": true, "volumes": [{ "name": "kept" }] });
    let kept = server.sandbox(kept).await?.id;
    // Deployments have a test of their own.
    let of_sandboxes = Fault::ALL.iter().filter(|fault| step(**fault) != "deploy");
    for (round, fault) in of_sandboxes.enumerate() {
        let name = fault.name();
        let survivor = Sandbox::of(&server, &kept);
        // On the disks and in memory: all must stay of one moment.
        survivor
            .sh(&format!("echo {round} | tee /root/mark /volumes/kept/mark > /run/mark"))
            .await
            .context(name)?;
        let victim = prepare(&server, *fault, &survivor).await.context(name)?;
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
        if let ("delete", Some(victim)) = (step(*fault), victim) {
            // Wanted gone before the end: it goes at the start, or when it is asked again.
            let gone = Sandbox::of(&server, &victim).delete().await?;
            ensure!(gone == 204, "{name}: deleting again answered {gone}");
            known.retain(|id| *id != victim);
        }
        if matches!(fault, Fault::CreateRecorded | Fault::ForkMade)
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
        if matches!(step(*fault), "pause" | "resume") {
            let resume = server.request(Method::POST, &survivor.path("/resume"));
            resume.send().await?.error_for_status().context(name)?;
        }
        let marks = "echo $(cat /root/mark /run/mark /volumes/kept/mark)";
        let marks = survivor.sh(marks).await.context(name)?;
        ensure!(marks == format!("{round} {round} {round}"), "{name}: {marks}");
        let broken = survivor.sh("dmesg | grep -ci 'EXT4-fs error' || true").await.context(name)?;
        ensure!(broken == "0", "{name}: {broken} errors of its disks");
        remove_volumes(&server).await.context(name)?;
        remove_snapshots(&server, &kept).await.context(name)?;
        let orphans = orphans(&server, &known)?;
        ensure!(orphans.is_empty(), "{name}: {orphans:?}\n{}", server.log_tail());
    }
    ensure!(run("ip", &["netns", "list"])?.contains(&prefix()), "no slot was looked at");
    server.finish()
}
