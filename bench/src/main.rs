//! The benchmark: `make bench`.
//!
//! Every number stands beside a floor of the same run: what the hypervisor alone
//! needs to bring the same files to the same first answer, or what nginx makes of
//! the same upstream. Machines are noisy; the ratio is the result, not the
//! milliseconds.

mod create;
mod edge;
mod floor;
mod sample;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures creates and execs of a Pando beside the bare hypervisor, and its edge
/// beside nginx.
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
    /// What to measure; everything if not said.
    #[command(subcommand)]
    only: Option<Only>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Only {
    /// Creates and execs.
    Create,
    /// The edge.
    Edge {
        /// How many turns each proxy takes.
        #[arg(long, default_value_t = EDGE_ROUNDS)]
        rounds: usize,
    },
    /// Is the edge that is measured.
    #[command(hide = true)]
    ServeEdge { listen: SocketAddr, upstream: SocketAddr },
}

/// The turns that each proxy takes.
const EDGE_ROUNDS: usize = 7;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let pool = arguments.network_pool;
    match arguments.only {
        None => {
            creates(&arguments).await?;
            print!("\n{}", edge::measure(pool, EDGE_ROUNDS)?);
        }
        Some(Only::Create) => creates(&arguments).await?,
        Some(Only::Edge { rounds }) => print!("{}", edge::measure(pool, rounds)?),
        Some(Only::ServeEdge { listen, upstream }) => edge::serve(listen, upstream).await?,
    }
    Ok(())
}

async fn creates(arguments: &Arguments) -> anyhow::Result<()> {
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
