//! The benchmark: `make bench`.
//!
//! Every number stands beside a floor of the same run: what the hypervisor alone
//! needs to bring the same files to the same first answer, or what nginx makes of
//! the same upstream. Machines are noisy; the ratio is the result, not the
//! milliseconds.

mod agent;
mod attacks;
mod copies;
mod create;
mod crowd;
mod deployments;
mod edge;
mod fit;
mod floor;
mod memory;
mod sample;
mod sandboxes;
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
    /// How many of each, one after another.
    #[arg(long, default_value_t = 30)]
    runs: usize,
    /// How many at once.
    #[arg(long, default_value_t = 20)]
    at_once: usize,
    /// The /16 for the benchmark's own links.
    #[arg(long, default_value = "10.215.0.0")]
    network_pool: Ipv4Addr,
    /// What to measure; everything if not said.
    #[command(subcommand)]
    only: Option<Only>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Only {
    /// Creates, execs and memory.
    Sandboxes,
    /// Snapshots, forks, sleep and wake.
    Copies,
    /// An app's first deployment, its second, and its rollback.
    Deployments {
        /// How many apps of each kind.
        #[arg(long, default_value_t = DEPLOYMENT_ROUNDS)]
        rounds: usize,
    },
    /// How many sandboxes fit on this machine.
    Fit {
        /// Where it stops at the latest.
        #[arg(long, default_value_t = MOST)]
        most: usize,
    },
    /// How attacks from within a sandbox slow its neighbour.
    Attacks,
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

/// The sandboxes that are tried at most.
const MOST: usize = 1000;
/// The turns that each proxy takes.
const EDGE_ROUNDS: usize = 11;
/// The apps of each kind whose deployments are measured.
const DEPLOYMENT_ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let pool = arguments.network_pool;
    let measured = match arguments.only {
        Some(Only::Edge { rounds }) => return edge::print(pool, rounds),
        Some(Only::ServeEdge { listen, upstream }) => return edge::serve(listen, upstream).await,
        Some(Only::Sandboxes) => sandboxes::measure(&arguments).await,
        Some(Only::Copies) => copies::print(&arguments).await,
        Some(Only::Deployments { rounds }) => deployments::print(&arguments, rounds).await,
        Some(Only::Fit { most }) => fit::print(&arguments, most).await,
        Some(Only::Attacks) => attacks::print(&arguments).await,
        None => everything(&arguments).await,
    };
    // Also what a run that failed has left.
    let taken_down = server::take_down(&arguments.data, pool);
    measured.and(taken_down)
}

async fn everything(arguments: &Arguments) -> anyhow::Result<()> {
    sandboxes::measure(arguments).await?;
    println!();
    copies::print(arguments).await?;
    println!();
    deployments::print(arguments, DEPLOYMENT_ROUNDS).await?;
    println!();
    fit::print(arguments, MOST).await?;
    println!();
    attacks::print(arguments).await?;
    println!();
    edge::print(arguments.network_pool, EDGE_ROUNDS)
}
