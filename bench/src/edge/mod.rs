//! The edge beside nginx: both proxy the same native upstream in a network
//! namespace, take turns in the same run, and are asked by the same wrk.

mod network;
mod nginx;
mod serve;
mod wrk;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, ensure};

use network::Network;
use nginx::Nginx;
use wrk::Load;

pub(crate) use serve::serve;

/// Connections that wrk keeps busy.
const CONNECTIONS: usize = 64;
/// How long one turn takes.
const TURN: Duration = Duration::from_secs(4);
/// 50 ms each.
const READY_TRIES: usize = 200;
/// Microseconds in one tick of `/proc/PID/stat`; Linux tells in hundredths of a second.
const TICK_MICROS: f64 = 10_000.0;

/// What came of one proxy's turns.
#[derive(Debug, Default)]
struct Turns {
    requests_per_sec: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    /// Processor time of the proxy alone, in microseconds a request.
    user_micros: Vec<f64>,
    system_micros: Vec<f64>,
}

impl Turns {
    fn push(&mut self, load: &Load, used: Cpu) {
        self.requests_per_sec.push(load.requests_per_sec);
        self.p50_ms.push(load.p50_ms);
        self.p99_ms.push(load.p99_ms);
        let requests = load.requests.max(1) as f64;
        self.user_micros.push(used.user_ticks as f64 * TICK_MICROS / requests);
        self.system_micros.push(used.system_ticks as f64 * TICK_MICROS / requests);
    }
}

/// The outcome, printed as a table.
#[derive(Debug)]
pub(crate) struct Comparison {
    rounds: usize,
    direct: Turns,
    nginx: Turns,
    edge: Turns,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| 1 KiB page, {CONNECTIONS} kept connections, median of {} turns of {} s | requests/s | p50 ms | p99 ms | user µs/request | system µs/request |",
            self.rounds,
            TURN.as_secs()
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- |")?;
        for (what, turns) in
            [("the upstream itself", &self.direct), ("nginx", &self.nginx), ("edge", &self.edge)]
        {
            writeln!(
                f,
                "| {what} | {:.0} | {:.2} | {:.2} | {:.1} | {:.1} |",
                median(&turns.requests_per_sec),
                median(&turns.p50_ms),
                median(&turns.p99_ms),
                median(&turns.user_micros),
                median(&turns.system_micros)
            )?;
        }
        let ratios = |edge: &[f64], nginx: &[f64]| -> Vec<f64> {
            edge.iter().zip(nginx).map(|(edge, nginx)| edge / nginx).collect()
        };
        writeln!(
            f,
            "| edge / nginx, median of the turns' own ratios | {:.2} | {:.2} | {:.2} | | |",
            median(&ratios(&self.edge.requests_per_sec, &self.nginx.requests_per_sec)),
            median(&ratios(&self.edge.p50_ms, &self.nginx.p50_ms)),
            median(&ratios(&self.edge.p99_ms, &self.nginx.p99_ms))
        )
    }
}

/// Prints what [`measure`] finds.
pub(crate) fn print(pool: Ipv4Addr, rounds: usize) -> anyhow::Result<()> {
    print!("{}", measure(pool, rounds)?);
    Ok(())
}

/// Lets nginx and the edge take `rounds` turns each. The links are made in the
/// last /30 of `pool`.
fn measure(pool: Ipv4Addr, rounds: usize) -> anyhow::Result<Comparison> {
    let folder = tempfile::tempdir()?;
    let network = Network::make(pool)?;
    let upstream = SocketAddr::from((network.inside(), 8000));
    let inside = Nginx::upstream(folder.path(), upstream, &network)?;
    let proxy_address = free_address()?;
    let proxy = Nginx::proxy(folder.path(), proxy_address, upstream)?;
    let edge_address = free_address()?;
    let edge = serve::start(edge_address, upstream)?;
    for address in [upstream, proxy_address, edge_address] {
        wait_for(address)?;
    }

    let mut measured = Comparison {
        rounds,
        direct: Turns::default(),
        nginx: Turns::default(),
        edge: Turns::default(),
    };
    // The first round warms up and is not counted.
    for round in 0..=rounds {
        // Who goes first takes turns: so each follows the other, and itself, as often.
        // The scheduler keeps for seconds where a turn left its threads.
        let (nginx, edge) = if round % 2 == 0 {
            let nginx = turn(proxy_address, &proxy.process)?;
            (nginx, turn(edge_address, &edge)?)
        } else {
            let edge = turn(edge_address, &edge)?;
            (turn(proxy_address, &proxy.process)?, edge)
        };
        if round > 0 {
            measured.nginx.push(&nginx.0, nginx.1);
            measured.edge.push(&edge.0, edge.1);
        }
    }
    // Last, for it leaves wrk and the upstream on one processor.
    for _ in 0..rounds {
        let direct = turn(upstream, &inside.process)?;
        measured.direct.push(&direct.0, direct.1);
    }
    Ok(measured)
}

/// One turn of wrk, and what `process` with its children used meanwhile.
fn turn(address: SocketAddr, process: &Process) -> anyhow::Result<(Load, Cpu)> {
    let before = process.cpu()?;
    let load = wrk::run(address, serve::HOST, CONNECTIONS, TURN)?;
    let after = process.cpu()?;
    let used = Cpu {
        user_ticks: after.user_ticks - before.user_ticks,
        system_ticks: after.system_ticks - before.system_ticks,
    };
    Ok((load, used))
}

/// A process that ends with this value.
#[derive(Debug)]
struct Process(Child);

#[derive(Debug, Clone, Copy, Default)]
struct Cpu {
    user_ticks: u64,
    system_ticks: u64,
}

impl Process {
    /// The time that it and its children have run.
    fn cpu(&self) -> anyhow::Result<Cpu> {
        let pid = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        let mut sum = Cpu::default();
        for pid in std::iter::once(pid).chain(children) {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // The name, in parentheses, may hold anything; utime and stime are the
            // 12th and 13th field after it.
            let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
            let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
            sum.user_ticks += times.next().context("no utime")??;
            sum.system_ticks += times.next().context("no stime")??;
        }
        Ok(sum)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gently: nginx's master ends its workers.
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn wait_for(address: SocketAddr) -> anyhow::Result<()> {
    for _ in 0..READY_TRIES {
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("nothing listens on {address}")
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// Runs a program that must succeed.
fn command(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {} failed: {said}", arguments.join(" "));
    Ok(())
}
