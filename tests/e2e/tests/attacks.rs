//! A guest does its worst, and its neighbour goes on. How much slower it goes is
//! measured by `make bench`.

use std::time::Duration;

use anyhow::{Context, ensure};
use pando_e2e::{Attack, Options, Sandbox, Server};
use reqwest::Method;
use serde_json::{Value, json};

/// How often the neighbour and the server are asked while an attack goes on.
const QUESTIONS: usize = 15;
/// Between two questions: an attack is to have time to get somewhere.
const PAUSE: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_guest_does_its_neighbour_and_the_server_go_on() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let neighbour = server.sandbox(json!({})).await?;
    for attack in Attack::ALL {
        let attacker = server.sandbox(json!({})).await?;
        // Whatever becomes of the answer: it is the attacker's.
        let begin = server.request(Method::POST, &attacker.path("/exec")).json(&attack.exec());
        let begun = tokio::spawn(begin.send());
        for _ in 0..QUESTIONS {
            tokio::time::sleep(PAUSE).await;
            still_serves(&server, &neighbour).await.context(attack.name)?;
        }
        alive_or_dead_with_a_reason(&server, &attacker).await.context(attack.name)?;
        ensure!(attacker.delete().await? == 204, "{}: not deleted", attack.name);
        begun.abort();
        let _ = begun.await;
        still_serves(&server, &neighbour).await.context(attack.name)?;
    }
    server.finish()
}

async fn still_serves(server: &Server, neighbour: &Sandbox<'_>) -> anyhow::Result<()> {
    let health = server.client().get(server.url("/healthz")).send().await?;
    ensure!(health.status() == 200, "the server's health is {}", health.status());
    ensure!(neighbour.sh("echo on").await? == "on");
    Ok(())
}

async fn alive_or_dead_with_a_reason(
    server: &Server,
    attacker: &Sandbox<'_>,
) -> anyhow::Result<()> {
    let shown = server.request(Method::GET, &attacker.path("")).send().await?;
    let shown: Value = shown.error_for_status()?.json().await?;
    match shown["status"].as_str() {
        Some("running") => Ok(()),
        Some("failed") => {
            let reason = shown["status_reason"].as_str().unwrap_or_default();
            println!("{}: {reason}", attacker.id);
            ensure!(!reason.is_empty(), "it is dead, and nobody says why");
            Ok(())
        }
        other => anyhow::bail!("its status is {other:?}"),
    }
}
