//! Baking survives being killed, and bakes a size on demand.

use std::time::Duration;

use pando_e2e::{Options, Server};
use reqwest::Method;
use serde_json::json;

/// A size that no other test uses, so that it is baked here.
const RARE: &str = r#"{"cpu":1,"memory_mb":768}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_bake_that_was_killed_starts_over() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let machines = server.data().join("pool/machines");
    let count = || std::fs::read_dir(&machines).map(Iterator::count);
    let before = count()?;
    let asked = server.request(Method::POST, "/v1/sandboxes").body(RARE);
    let asked = tokio::spawn(asked.header("content-type", "application/json").send());
    let staging = server.data().join("pool/staging");
    // Once its folder is there, the bake is under way.
    for _ in 0..200 {
        if std::fs::read_dir(&staging)?.next().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.kill()?;
    let _ = asked.await;
    // A killed bake leaves nothing that could be taken for a machine (a machine of
    // that size from an earlier run counts as baked, and then nothing was killed).
    let after = count()?;
    server.launch().await?;
    assert!(std::fs::read_dir(&staging)?.next().is_none(), "staging is emptied at a start");
    let sandbox = server.sandbox(json!({ "cpu": 1, "memory_mb": 768 })).await?;
    assert_eq!(sandbox.sh("nproc").await?, "1");
    assert!(after == before || count()? == before);
    server.finish()
}
