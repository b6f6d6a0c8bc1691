//! `pando sandbox top`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use pando_types::SandboxId;
use pando_types::machine::{Process, SandboxStats};
use pando_types::page::List;
use serde_json::json;

use crate::client::{Client, ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Between the two looks that the first screen's shares come from.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// To the screen's corner, and everything after it away.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// What to watch.
#[derive(Debug, clap::Args)]
pub struct TopArgs {
    /// The sandbox
    id: SandboxId,
    /// Print once and end, as when the output is no terminal
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Processes that are shown: those that use the processors most
    #[arg(short = 'n', long, value_name = "PROCESSES", default_value_t = 20)]
    lines: usize,
}

/// Draws until Ctrl-C; or prints one screen, or one JSON object.
pub async fn run(client: &ClientArgs, args: TopArgs) -> Result<(), Failure> {
    let api = client.client()?;
    if client.json {
        let stats = api.get(&format!("/sandboxes/{}/stats", args.id)).await?;
        let processes = api.get(&format!("/sandboxes/{}/processes", args.id)).await?;
        return output::json(&json!({"stats": stats, "processes": processes["items"]}));
    }
    let once = args.once || !io::stdout().is_terminal();
    tokio::select! {
        outcome = watch(&api, &args, once) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn watch(api: &Client, args: &TopArgs, once: bool) -> Result<(), Failure> {
    let mut before = Look::at(api, args.id).await?;
    let mut pause = FIRST_LOOK;
    loop {
        tokio::time::sleep(pause).await;
        let now = Look::at(api, args.id).await?;
        let screen = screen(&before, &now, args.lines);
        if once {
            return output::line(&screen);
        }
        output::line(&format!("{CLEAR}{screen}"))?;
        before = now;
        pause = Duration::from_secs(args.interval);
    }
}

struct Look {
    at: Instant,
    stats: SandboxStats,
    processes: Vec<Process>,
}

impl Look {
    async fn at(api: &Client, id: SandboxId) -> Result<Self, Failure> {
        let stats = read(&api.get(&format!("/sandboxes/{id}/stats")).await?)?;
        let list: List<Process> = read(&api.get(&format!("/sandboxes/{id}/processes")).await?)?;
        Ok(Self { at: Instant::now(), stats, processes: list.items })
    }
}

fn screen(before: &Look, now: &Look, lines: usize) -> String {
    let elapsed_ms = now.at.duration_since(before.at).as_secs_f64() * 1000.0;
    let earlier: HashMap<u32, u64> =
        before.processes.iter().map(|process| (process.pid, process.cpu_ms)).collect();
    let mut shares: Vec<(f64, &Process)> = now
        .processes
        .iter()
        .map(|process| {
            let since = earlier.get(&process.pid).copied().unwrap_or(0);
            // One that is new has used all that it used since it started.
            let span = if earlier.contains_key(&process.pid) {
                elapsed_ms
            } else {
                (process.age_ms as f64).max(1.0)
            };
            (process.cpu_ms.saturating_sub(since) as f64 / span * 100.0, process)
        })
        .collect();
    shares.sort_by_key(|(share, process)| (Reverse((share * 10.0) as u64), process.pid));
    let rows = shares.into_iter().take(lines).map(|(share, process)| {
        vec![
            process.pid.to_string(),
            process.user.clone(),
            process.state.clone(),
            format!("{share:.1}"),
            bytes(process.rss_bytes),
            clock(process.cpu_ms / 1000),
            process.command.chars().take(100).collect(),
        ]
    });
    let header = ["PID", "USER", "S", "CPU%", "MEMORY", "TIME", "COMMAND"];
    format!("{}\n\n{}", summary(&now.stats), output::table(&header, rows))
}

fn summary(stats: &SandboxStats) -> String {
    let SandboxStats { cpu, memory, disk, network, load, .. } = stats;
    format!(
        "up {}  processes {}  load {:.2} {:.2} {:.2}\n\
         cpu {:.1} % of {}  memory {} of {}  disk {} of {}  network {} in, {} out",
        clock(stats.uptime_seconds as u64),
        stats.processes,
        load[0],
        load[1],
        load[2],
        cpu.percent,
        cpu.count,
        bytes(memory.used_bytes),
        bytes(memory.total_bytes),
        bytes(disk.used_bytes),
        bytes(disk.total_bytes),
        bytes(network.received_bytes),
        bytes(network.sent_bytes),
    )
}

fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 10.0);
    format!("{value:.digits$} {}", units.get(unit).unwrap_or(&"B"))
}

fn clock(secs: u64) -> String {
    match secs / 3600 {
        0 => format!("{}:{:02}", secs / 60, secs % 60),
        hours => format!("{hours}:{:02}:{:02}", secs / 60 % 60, secs % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::machine::{CpuStats, DiskStats, MemoryStats, NetworkStats};

    fn process(pid: u32, cpu_ms: u64, command: &str) -> Process {
        Process {
            pid,
            ppid: 1,
            user: "root".into(),
            command: command.into(),
            state: "S".into(),
            threads: 1,
            cpu_ms,
            rss_bytes: 5 << 20,
            age_ms: 10_000,
        }
    }

    fn look(at: Instant, processes: Vec<Process>) -> Look {
        let stats = SandboxStats {
            uptime_seconds: 3725.9,
            load: [0.5, 0.25, 0.0],
            processes: 2,
            cpu: CpuStats {
                count: 2,
                percent: 12.5,
                user_ms: 0,
                system_ms: 0,
                idle_ms: 0,
                steal_ms: 0,
            },
            memory: MemoryStats {
                total_bytes: 2 << 30,
                used_bytes: 200 << 20,
                available_bytes: 0,
                cached_bytes: 0,
            },
            disk: DiskStats {
                total_bytes: 8 << 30,
                used_bytes: 1536 << 20,
                available_bytes: 0,
                read_bytes: 0,
                written_bytes: 0,
            },
            network: NetworkStats {
                received_bytes: 2048,
                sent_bytes: 10,
                received_packets: 0,
                sent_packets: 0,
            },
        };
        Look { at, stats, processes }
    }

    #[test]
    fn a_screen_is_by_share_of_the_processors() {
        let begun = Instant::now();
        let before = look(begun, vec![process(1, 5000, "/init"), process(7, 1000, "node a.js")]);
        let later = begun + Duration::from_secs(2);
        let now = look(
            later,
            vec![process(1, 5000, "/init"), process(7, 2000, "node a.js"), process(9, 100, "new")],
        );
        insta::assert_snapshot!(screen(&before, &now, 2), @r"
        up 1:02:05  processes 2  load 0.50 0.25 0.00
        cpu 12.5 % of 2  memory 200 MiB of 2.0 GiB  disk 1.5 GiB of 8.0 GiB  network 2.0 KiB in, 10 B out

        PID  USER  S  CPU%  MEMORY   TIME  COMMAND
        7    root  S  50.0  5.0 MiB  0:02  node a.js
        9    root  S  1.0   5.0 MiB  0:00  new
        ");
    }
}
