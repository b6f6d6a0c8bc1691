//! The benchmark: `make bench`.
//!
//! Every number stands beside a floor of the same run: what the hypervisor alone
//! needs to bring the same files to the same first answer. Machines are noisy;
//! the ratio is the result, not the milliseconds.

mod agent;
mod create;
mod crowd;
mod floor;
mod memory;
mod sample;
mod server;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::memory::Memory;
use crate::sample::Sample;

/// Measures creates and execs of a Pando beside the bare hypervisor.
#[derive(Debug, Parser)]
struct Arguments {
    /// The data folder; a server must not be using it.
    #[arg(long, env = "PANDO_DATA", default_value = "/var/lib/pando")]
    data: PathBuf,
    /// How many of each, one after another.
    #[arg(long, default_value_t = 30)]
    runs: usize,
    /// How many at once.
    #[arg(long, default_value_t = 20)]
    at_once: usize,
    /// The /16 for the benchmark's own links.
    #[arg(long, default_value = "10.215.0.0")]
    network_pool: Ipv4Addr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { data, runs, at_once, network_pool: pool } = Arguments::parse();
    // The server bakes what is missing; the floor restores the same files after it.
    let cold = create::measure(&data, pool, "0", runs).await?;
    let warm = create::measure(&data, pool, "4", runs).await?;
    let cold_crowd = crowd::measure(&data, pool, "0", at_once).await?;
    let warm_crowd = crowd::measure(&data, pool, "32", at_once).await?;
    let floor = floor::measure(&data, pool, runs, at_once).await?;

    heading(&format!("one after another, n={runs}"));
    row("bare hypervisor: files to `ready` (the floor)", &floor.restore, &floor.restore);
    for (what, measured) in [("warm slots", &warm), ("no warm slots", &cold)] {
        for (step, sample) in measured.rows() {
            row(&format!("{what}: {step}"), sample, &floor.restore);
        }
    }
    println!();
    heading("exec of `true`, not the first of its machine");
    row("the agent asked directly (the floor)", &floor.exec, &floor.exec);
    row("through the API", &warm.exec, &floor.exec);
    println!();
    heading(&format!("{at_once} at once"));
    row("bare hypervisor: each (the floor)", &floor.crowd, &floor.crowd);
    row("warm slots: each create, through the API", &warm_crowd.creates, &floor.crowd);
    row("no warm slots: each create, through the API", &cold_crowd.creates, &floor.crowd);
    let all = |what: &str, span: Duration| {
        let ratio = span.as_secs_f64() / floor.crowd_all.as_secs_f64();
        println!("| {what}: until the last | {:.1} | | {ratio:.2} |", span.as_secs_f64() * 1e3);
    };
    all("bare hypervisor", floor.crowd_all);
    all("warm slots", warm_crowd.all);
    all("no warm slots", cold_crowd.all);
    println!();
    println!("| memory of an idle VMM, mean of {at_once} | proportional MiB | private MiB |");
    println!("| --- | --- | --- |");
    for (what, memory) in [("bare hypervisor", &floor.memory), ("Pando", &warm_crowd.memory)] {
        let (proportional, private) = Memory::mean_mib(memory);
        println!("| {what} | {proportional:.1} | {private:.1} |");
    }
    Ok(())
}

fn heading(what: &str) {
    println!("| {what} | p50 ms | p99 ms | p50 / floor |");
    println!("| --- | --- | --- | --- |");
}

fn row(what: &str, sample: &Sample, floor: &Sample) {
    println!(
        "| {what} | {:.1} | {:.1} | {:.2} |",
        sample.percentile(50),
        sample.percentile(99),
        sample.percentile(50) / floor.percentile(50)
    );
}
