//! The benchmark: `make bench`.
//!
//! Every number stands beside a floor of the same run: what the hypervisor alone
//! needs to bring the same files to the same first answer. Machines are noisy;
//! the ratio is the result, not the milliseconds.

mod create;
mod floor;
mod sample;
mod server;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Parser;

/// Measures creates and execs of a Pando beside the bare hypervisor.
#[derive(Debug, Parser)]
struct Arguments {
    /// The data folder; a server must not be using it.
    #[arg(long, env = "PANDO_DATA", default_value = "/var/lib/pando")]
    data: PathBuf,
    /// How many of each.
    #[arg(long, default_value_t = 30)]
    runs: usize,
    /// The /16 for the benchmark's own links.
    #[arg(long, default_value = "10.215.0.0")]
    network_pool: Ipv4Addr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // The server bakes what is missing; the floor restores the same files after it.
    let create = create::measure(&arguments.data, arguments.network_pool, arguments.runs).await?;
    let floor = floor::measure(&arguments.data, arguments.network_pool, arguments.runs).await?;
    println!("| one after another, n={} | p50 ms | p99 ms | p50 / floor |", arguments.runs);
    println!("| --- | --- | --- | --- |");
    for (what, sample) in std::iter::once(("bare hypervisor: files to `ready` (the floor)", &floor))
        .chain(create.rows())
    {
        println!(
            "| {what} | {:.1} | {:.1} | {:.2} |",
            sample.percentile(50),
            sample.percentile(99),
            sample.percentile(50) / floor.percentile(50)
        );
    }
    Ok(())
}
