//! A disk that is full to the last byte: what is saved is refused, what runs goes on.

use anyhow::{Context, ensure};
use pando_e2e::{Options, Server, run};
use reqwest::Method;
use serde_json::{Value, json};

/// Fills the disk that holds `folder`; dropped, it gives all back.
struct Filling(std::path::PathBuf);

impl Filling {
    fn up(folder: &std::path::Path) -> anyhow::Result<Self> {
        let filling = Self(folder.join("filling"));
        std::fs::create_dir(&filling.0)?;
        // In ever smaller pieces, until not even a block is to be had.
        for (index, size) in ["4G", "256M", "16M", "1M", "64K", "4K"].into_iter().enumerate() {
            for piece in 0.. {
                let path = filling.0.join(format!("{index}-{piece}")).display().to_string();
                if run("fallocate", &["-l", size, &path]).is_err() {
                    break;
                }
            }
        }
        Ok(filling)
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_saved_on_a_full_disk_and_nothing_is_lost() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    sandbox
        .sh("head -c 64M /dev/urandom > /dev/shm/table; md5sum < /dev/shm/table > /root/sum")
        .await?;
    let is_whole = "md5sum < /dev/shm/table | cmp - /root/sum && echo whole";
    let pool = server.data().join("pool");
    // Machines and layers of earlier tests, unused for long, would make room.
    run(
        "find",
        &[&pool.display().to_string(), "-maxdepth", "3", "-exec", "touch", "-c", "{}", "+"],
    )?;
    let filling = Filling::up(&pool)?;
    for verb in ["hibernate", "snapshots", "fork", "hibernate"] {
        let request = server.request(Method::POST, &sandbox.path(&format!("/{verb}")));
        let answer = request.json(&json!({})).send().await?;
        let (status, said) = (answer.status().as_u16(), answer.json::<Value>().await?);
        ensure!(status == 507, "{verb} answered {status}: {said}");
        let words = said["error"].as_str().context("no reason")?;
        ensure!(words.contains("disk"), "{verb}: {words}");
        ensure!(sandbox.sh(is_whole).await.context(verb)? == "whole");
    }
    let list: Value = server.request(Method::GET, "/v1/snapshots").send().await?.json().await?;
    ensure!(list["snapshots"] == json!([]), "{list}");
    // What writes on stands still, and goes on when there is room.
    let write = "setsid sh -c 'head -c 20M /dev/urandom > /root/more; sync' & wait";
    let stalled = server.request(Method::POST, &sandbox.path("/exec"));
    let asked = stalled.json(&json!({ "cmd": write, "timeout_seconds": 5 })).send().await?;
    ensure!(asked.status().as_u16() != 200, "a full disk took 20 MiB: {}", asked.text().await?);
    let request = server.request(Method::POST, &sandbox.path("/hibernate"));
    let answer = request.json(&json!({})).send().await?;
    ensure!(answer.status().as_u16() == 507, "{}: {}", answer.status(), answer.text().await?);
    drop(filling);
    let begun = std::time::Instant::now();
    let written = "sync; stat -c %s /root/more";
    while sandbox.sh(written).await.ok().as_deref() != Some("20971520") {
        ensure!(begun.elapsed().as_secs() < 60, "it still stands still");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    for verb in ["hibernate", "wake"] {
        let request = server.request(Method::POST, &sandbox.path(&format!("/{verb}")));
        request.json(&json!({})).send().await?.error_for_status().context(verb)?;
    }
    ensure!(sandbox.sh(is_whole).await? == "whole");
    server.finish()
}
