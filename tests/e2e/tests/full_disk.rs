//! A disk that is full to the last byte: what is saved is refused, what runs goes on.

use anyhow::{Context, ensure};
use pando_e2e::{Options, Server, run, test_data};
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

/// A disk of its own, on which the pool is a sparse file.
struct Below {
    image: std::path::PathBuf,
    mount: std::path::PathBuf,
}

impl Below {
    fn new() -> anyhow::Result<Self> {
        let (image, mount) = (test_data().join("below.img"), test_data().join("below"));
        std::fs::create_dir_all(&mount)?;
        let (file, folder) = (image.display().to_string(), mount.display().to_string());
        run("truncate", &["-s", "12G", &file])?;
        let below = Self { image, mount };
        run("mkfs.ext4", &["-q", "-F", &file])?;
        run("mount", &["-o", "loop", &file, &folder])?;
        Ok(below)
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        // For whoever looks why it failed.
        let _ = std::fs::copy(self.mount.join("data/serve.log"), test_data().join("below.log"));
        let _ = run("umount", &[&self.mount.display().to_string()]);
        let _ = std::fs::remove_dir(&self.mount);
        let _ = std::fs::remove_file(&self.image);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it bakes a machine of its own; `make test-sleep` has it"]
async fn a_disk_that_is_full_below_the_pool_loses_nothing_either() -> anyhow::Result<()> {
    let below = Below::new()?;
    let data = Some(below.mount.join("data"));
    let server = Server::start(Options { data, ..Options::default() }).await?;
    let (still, busy) = (server.sandbox(json!({})).await?, server.sandbox(json!({})).await?);
    let table = "head -c 64M /dev/urandom > /dev/shm/table; md5sum < /dev/shm/table > /root/sum";
    still.sh(&format!("{table}; sync")).await?;
    let is_whole = "md5sum < /dev/shm/table | cmp - /root/sum && echo whole";
    let filling = Filling::up(&below.mount)?;

    // It writes to its disk until that takes no more, and then what is written back late.
    busy.sh("head -c 40M /dev/urandom > /dev/shm/new; setsid sh -c 'cp /dev/shm/new /root/new; sync; cp /dev/shm/new /root/more; sync' >/dev/null 2>&1 & echo")
        .await?;
    let mut refused = 0;
    for round in 0..4 {
        for (method, path, body) in [
            (Method::POST, still.path("/hibernate"), json!({})),
            (Method::POST, still.path("/snapshots"), json!({})),
            (Method::PATCH, still.path("/lifecycle"), json!({ "ttl_seconds": 1000 + round })),
        ] {
            let answer = server.request(method, &path).json(&body).send().await?;
            let status = answer.status().as_u16();
            let said = answer.text().await?;
            ensure!(status == 507 || status < 300, "{path} answered {status}: {said}");
            refused += usize::from(status == 507);
        }
    }
    ensure!(refused > 0, "a full disk took all of it");
    drop(filling);

    let begun = std::time::Instant::now();
    let both = "cmp /dev/shm/new /root/new && cmp /dev/shm/new /root/more && echo both";
    while busy.sh(both).await.ok().as_deref() != Some("both") {
        ensure!(begun.elapsed().as_secs() < 120, "it still stands still\n{}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    for sandbox in [&still, &busy] {
        for verb in ["hibernate", "wake"] {
            let request = server.request(Method::POST, &sandbox.path(&format!("/{verb}")));
            request.json(&json!({})).send().await?.error_for_status().context(verb)?;
        }
    }
    ensure!(still.sh(is_whole).await? == "whole");
    ensure!(busy.sh(both).await? == "both");
    // What the disk has of it, and not the guest's memory.
    busy.sh("sync; echo 3 > /proc/sys/vm/drop_caches").await?;
    ensure!(busy.sh(both).await? == "both");
    let life = server.request(Method::PATCH, &still.path("/lifecycle"));
    life.json(&json!({ "ttl_seconds": 3000 })).send().await?.error_for_status()?;
    ensure!(server.sandbox(json!({})).await?.delete().await? == 204);
    server.finish()
}
