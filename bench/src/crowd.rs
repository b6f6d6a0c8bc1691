//! Many creates at once, and what the machines that they made hold of memory.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use crate::memory::Memory;
use crate::sample::Sample;
use crate::server::Server;

/// How long machines are left alone before their memory is read.
const SETTLE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Crowd {
    /// Each create, from its request to its answer.
    pub creates: Sample,
    /// From the first request to the last answer.
    pub all: Duration,
    pub memory: Vec<Memory>,
}

/// Creates `count` at once; the answers come when each one's agent answers.
pub(crate) async fn measure(
    data: &Path,
    pool: Ipv4Addr,
    warm_slots: &str,
    count: usize,
) -> anyhow::Result<Crowd> {
    let server = Server::start(data, pool, warm_slots).await?;
    // The first one warms the page cache.
    let first = create(&server).await?.0;
    delete(&server, &first).await?;
    let begun = Instant::now();
    let made = futures_util::future::join_all((0..count).map(|_| create(&server))).await;
    let all = begun.elapsed();
    let mut creates = Sample::default();
    let mut ids = Vec::new();
    for one in made {
        let (id, took) = one?;
        creates.push(took);
        ids.push(id);
    }
    tokio::time::sleep(SETTLE).await;
    let memory = server.machines()?.into_iter().map(Memory::of).collect::<Result<_, _>>()?;
    for id in &ids {
        delete(&server, id).await?;
    }
    server.finish()?;
    Ok(Crowd { creates, all, memory })
}

async fn create(server: &Server) -> anyhow::Result<(String, Duration)> {
    let begun = Instant::now();
    let request = server.request(Method::POST, "/v1/sandboxes").json(&json!({}));
    let made: Value = request.send().await?.error_for_status()?.json().await?;
    Ok((made["id"].as_str().context("no id")?.to_owned(), begun.elapsed()))
}

async fn delete(server: &Server, id: &str) -> anyhow::Result<()> {
    let request = server.request(Method::DELETE, &format!("/v1/sandboxes/{id}"));
    request.send().await?.error_for_status()?;
    Ok(())
}
