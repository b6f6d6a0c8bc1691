//! How many sandboxes fit: created one after another until one is refused.

use std::time::Instant;

use anyhow::{Context, bail};
use pando_vm::sys::host;
use reqwest::Method;
use serde_json::{Value, json};

use crate::Arguments;
use crate::memory::Memory;
use crate::sample::Sample;
use crate::server::Server;

/// Sandboxes between two rows of the table.
const STEP: usize = 50;
/// Execs in one of those that are there, at each row.
const EXECS: usize = 5;

/// Prints a row every [`STEP`] sandboxes, and why there are no more than `most`.
pub(crate) async fn print(arguments: &Arguments, most: usize) -> anyhow::Result<()> {
    let server = Server::start(&arguments.data, arguments.network_pool, "auto").await?;
    server.raise_quota()?;
    println!(
        "| idle sandboxes | create p50 ms | create p99 ms | exec of `true` in one, p50 ms | host memory left MiB | taken by each MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let before = left_mib()?;
    let (mut ids, mut creates) = (Vec::new(), Sample::default());
    let refusal = loop {
        if ids.len() >= most {
            break None;
        }
        let begun = Instant::now();
        let request = server.request(Method::POST, "/v1/sandboxes").json(&json!({}));
        let answer = request.send().await?;
        if matches!(answer.status().as_u16(), 429 | 503 | 507) {
            break Some((answer.status(), answer.text().await?));
        }
        let made: Value = answer.error_for_status()?.json().await?;
        creates.push(begun.elapsed());
        ids.push(made["id"].as_str().context("no id")?.to_owned());
        if ids.len().is_multiple_of(STEP) {
            row(&server, &ids, &creates, before).await?;
            creates = Sample::default();
        }
    };
    if !ids.len().is_multiple_of(STEP) {
        row(&server, &ids, &creates, before).await?;
    }
    let memory = server.machines()?.into_iter().map(Memory::of).collect::<Result<Vec<_>, _>>()?;
    let [resident, proportional, private] = Memory::mean_mib(&memory);
    println!();
    println!(
        "Of each VMM, in the mean: {resident:.1} MiB resident, {proportional:.1} MiB proportional, {private:.1} MiB private."
    );
    match refusal {
        Some((status, text)) => println!("The next was refused: {status}, `{text}`."),
        None => println!("No more than {most} were tried."),
    }
    for id in &ids {
        let request = server.request(Method::DELETE, &format!("/v1/sandboxes/{id}"));
        request.send().await?.error_for_status()?;
    }
    server.finish().map(drop)
}

async fn row(server: &Server, ids: &[String], creates: &Sample, before: u64) -> anyhow::Result<()> {
    let Some(id) = ids.first() else { bail!("not even one fits") };
    let mut execs = Sample::default();
    for _ in 0..EXECS {
        let begun = Instant::now();
        let request = server.request(Method::POST, &format!("/v1/sandboxes/{id}/exec"));
        request.json(&json!({ "cmd": "true" })).send().await?.error_for_status()?;
        execs.push(begun.elapsed());
    }
    let left = left_mib()?;
    println!(
        "| {} | {:.1} | {:.1} | {:.1} | {left} | {:.1} |",
        ids.len(),
        creates.percentile(50),
        creates.percentile(99),
        execs.percentile(50),
        before.saturating_sub(left) as f64 / ids.len() as f64,
    );
    Ok(())
}

fn left_mib() -> anyhow::Result<u64> {
    Ok(host::memory().context("the host's memory cannot be told")?.available_bytes >> 20)
}
