//! What a sandbox under attack from within does to the one beside it: the time of
//! an exec there before and during each attack.

use std::time::{Duration, Instant};

use anyhow::Context;
use pando_e2e::Attack;
use reqwest::Method;
use serde_json::{Value, json};

use crate::Arguments;
use crate::sample::Sample;
use crate::server::Server;

/// What an attack is given to get going.
const BITE: Duration = Duration::from_secs(10);
/// Between two execs: an attack's effect is to be seen over some seconds.
const PAUSE: Duration = Duration::from_millis(300);

/// Prints the neighbour's execs before and during each attack, a row as it is
/// measured.
pub(crate) async fn print(arguments: &Arguments) -> anyhow::Result<()> {
    let &Arguments { ref data, runs, network_pool: pool, .. } = arguments;
    println!(
        "| exec of `true` beside a sandbox under attack, n={runs} | p50 ms before | p50 ms | p99 ms | p50 / before |"
    );
    println!("| --- | --- | --- | --- | --- |");
    let server = Server::start(data, pool, "4").await?;
    let neighbour = create(&server).await?;
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
        let (quiet, loud) = (before.percentile(50), during.percentile(50));
        let (last, ratio) = (during.percentile(99), loud / quiet);
        println!("| {} | {quiet:.1} | {loud:.1} | {last:.1} | {ratio:.2} |", attack.name);
    }
    server.finish().map(drop)
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
