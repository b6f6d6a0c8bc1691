//! What a sandbox under attack from within does to the one beside it: the time of
//! an exec there before and during each attack.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use pando_e2e::Attack;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sample::Sample;
use crate::server::Server;

/// What an attack is given to get going.
const BITE: Duration = Duration::from_secs(10);
/// Between two execs: an attack's effect is to be seen over some seconds.
const PAUSE: Duration = Duration::from_millis(300);

/// The neighbour's execs beside one attack.
#[derive(Debug)]
pub(crate) struct Beside {
    pub attack: &'static str,
    pub before: Sample,
    pub during: Sample,
}

/// Measures `runs` execs before and during each attack.
pub(crate) async fn measure(
    data: &Path,
    pool: Ipv4Addr,
    runs: usize,
) -> anyhow::Result<Vec<Beside>> {
    let server = Server::start(data, pool, "4").await?;
    let neighbour = create(&server).await?;
    let mut all = Vec::new();
    for attack in Attack::ALL {
        let attacker = create(&server).await?;
        // The first exec of a machine is slow: see the table of creates.
        execs(&server, &neighbour, 1).await?;
        let before = execs(&server, &neighbour, runs).await?;
        let begin = server.request(Method::POST, &format!("{attacker}/exec"));
        let begun = tokio::spawn(begin.json(&attack.exec()).send());
        tokio::time::sleep(BITE).await;
        let during = execs(&server, &neighbour, runs).await.context(attack.name)?;
        server.request(Method::DELETE, &attacker).send().await?.error_for_status()?;
        begun.abort();
        let _ = begun.await;
        all.push(Beside { attack: attack.name, before, during });
    }
    server.finish()?;
    Ok(all)
}

async fn create(server: &Server) -> anyhow::Result<String> {
    let request = server.request(Method::POST, "/v1/sandboxes").json(&json!({}));
    let made: Value = request.send().await?.error_for_status()?.json().await?;
    Ok(format!("/v1/sandboxes/{}", made["id"].as_str().context("no id")?))
}

async fn execs(server: &Server, sandbox: &str, runs: usize) -> anyhow::Result<Sample> {
    let mut sample = Sample::default();
    for _ in 0..runs {
        let exec = server.request(Method::POST, &format!("{sandbox}/exec"));
        let begun = Instant::now();
        exec.json(&json!({ "cmd": "true" })).send().await?.error_for_status()?;
        sample.push(begun.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(sample)
}
