//! How much of the machine is in use, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

use pando_guest_protocol::machine::{CpuTime, Disk, Memory, Network, Stats};
use pando_guest_protocol::session::Failure;
use tokio::time::sleep;

use super::Access;
use super::failure::refused;
use super::files::blocking;
use crate::sys::proc_stat::{self, ticks_ms};

/// How long the processors are watched. Their time is counted in steps of 10 ms.
const SAMPLE: Duration = Duration::from_millis(200);
/// The disk that the root is on, and the link to the host.
const ROOT_DISK: &str = "vda";
const LINK: &str = "eth0";
/// Bytes of a sector, as `/proc/diskstats` counts on every disk.
const SECTOR_BYTES: u64 = 512;

/// One sample.
pub async fn sample(access: &Access) -> Result<Stats, Failure> {
    let before = blocking(processors).await?;
    sleep(SAMPLE).await;
    let age = access.age();
    let mut stats = blocking(move || {
        let now = processors()?;
        let counts = Stats {
            uptime_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            cpus: now.count,
            cpu_percent: busy_percent(&before.time, &now.time),
            cpu: now.time,
            load: load(&text("/proc/loadavg")?),
            processes: processes(),
            memory: memory(&text("/proc/meminfo")?),
            disk: Disk::default(),
            network: network(&text("/proc/net/dev")?),
        };
        let mut disk = disk_traffic(&text("/proc/diskstats")?);
        if let Ok(root) = rustix::fs::statvfs("/") {
            disk.total_bytes = root.f_blocks.saturating_mul(root.f_frsize);
            disk.available_bytes = root.f_bavail.saturating_mul(root.f_frsize);
        }
        Ok(Stats { disk, ..counts })
    })
    .await?;
    // No JSON number is infinite.
    stats.load = stats.load.map(|value| if value.is_finite() { value } else { 0.0 });
    Ok(stats)
}

fn text(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).or_else(|error| match error.kind() {
        // A kernel without disks or a network.
        io::ErrorKind::NotFound => Ok(String::new()),
        _ => Err(refused(path, &error)),
    })
}

fn processes() -> u32 {
    let own = proc_stat::pids().filter(|pid| proc_stat::of(*pid).is_some_and(|s| !s.of_kernel));
    u32::try_from(own.count()).unwrap_or(u32::MAX)
}

struct Processors {
    count: u32,
    time: CpuTime,
}

fn processors() -> Result<Processors, Failure> {
    Ok(parse_processors(&text("/proc/stat")?))
}

/// `cpu user nice system idle iowait irq softirq steal …`, then a line for each.
fn parse_processors(text: &str) -> Processors {
    let is_one = |line: &str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let count = text.lines().filter(|line| is_one(line)).count();
    let all = text.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let ticks = numbers(all);
    let of =
        |columns: &[usize]| ticks_ms(columns.iter().filter_map(|column| ticks.get(*column)).sum());
    Processors {
        count: u32::try_from(count).unwrap_or(u32::MAX),
        time: CpuTime {
            user_ms: of(&[0, 1]),
            system_ms: of(&[2, 5, 6]),
            idle_ms: of(&[3, 4]),
            steal_ms: of(&[7]),
        },
    }
}

fn busy_percent(before: &CpuTime, now: &CpuTime) -> f64 {
    let since = |part: fn(&CpuTime) -> u64| part(now).saturating_sub(part(before)) as f64;
    let busy = since(|time| time.user_ms) + since(|time| time.system_ms);
    let all = busy + since(|time| time.idle_ms) + since(|time| time.steal_ms);
    if all > 0.0 { (busy / all * 1000.0).round() / 10.0 } else { 0.0 }
}

fn load(text: &str) -> [f64; 3] {
    let mut values = text.split_ascii_whitespace().map(|value| value.parse().unwrap_or(0.0));
    [(); 3].map(|()| values.next().unwrap_or(0.0))
}

/// `Name:   1234 kB`.
fn memory(text: &str) -> Memory {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| numbers(rest).first().copied()).unwrap_or(0).saturating_mul(1024)
    };
    Memory {
        total_bytes: of("MemTotal"),
        available_bytes: of("MemAvailable"),
        cached_bytes: of("Cached"),
    }
}

/// `major minor name reads merged sectors-read ms writes merged sectors-written …`
/// (`iostats.rst`).
fn disk_traffic(text: &str) -> Disk {
    let columns = |line: &str| -> Option<Disk> {
        let mut words = line.split_ascii_whitespace().skip(2);
        (words.next()? == ROOT_DISK).then_some(())?;
        let mut sectors = words.map(|word| word.parse::<u64>().unwrap_or(0));
        let (read, written) = (sectors.nth(2)?, sectors.nth(3)?);
        Some(Disk {
            read_bytes: read.saturating_mul(SECTOR_BYTES),
            written_bytes: written.saturating_mul(SECTOR_BYTES),
            ..Disk::default()
        })
    };
    text.lines().find_map(columns).unwrap_or_default()
}

/// `eth0: bytes packets errs drop fifo frame compressed multicast`, then the same for what went.
fn network(text: &str) -> Network {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(LINK)?.strip_prefix(':'));
    let counts = numbers(line.unwrap_or_default());
    let of = |column: usize| counts.get(column).copied().unwrap_or(0);
    Network {
        received_bytes: of(0),
        received_packets: of(1),
        sent_bytes: of(8),
        sent_packets: of(9),
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_read() {
        let stat = parse_processors("cpu  100 1 50 800 9 2 3 4 0 0\ncpu0 1\ncpu1 1\nintr 5\n");
        assert_eq!(stat.count, 2);
        assert_eq!((stat.time.user_ms, stat.time.system_ms), (1010, 550));
        assert_eq!((stat.time.idle_ms, stat.time.steal_ms), (8090, 40));
        assert_eq!(load("0.50 1.25 2.00 1/234 567\n"), [0.5, 1.25, 2.0]);
        let kib = memory("MemTotal:  2048 kB\nMemAvailable: 1024 kB\nCached: 12 kB\n");
        assert_eq!(
            (kib.total_bytes, kib.available_bytes, kib.cached_bytes),
            (2 << 20, 1 << 20, 12288)
        );
        let disk = disk_traffic(" 254 16 vdb 9 9 9 9 9 9 9\n 254 0 vda 10 1 200 5 20 2 400 7 0\n");
        assert_eq!((disk.read_bytes, disk.written_bytes), (200 * 512, 400 * 512));
        let link = network("Inter-| x\n  lo: 1 1 0\n  eth0: 10 2 0 0 0 0 0 0 30 4 0 0\n");
        assert_eq!((link.received_bytes, link.received_packets), (10, 2));
        assert_eq!((link.sent_bytes, link.sent_packets), (30, 4));
    }

    #[test]
    fn nonsense_reads_as_nothing() {
        assert_eq!(parse_processors("").count, 0);
        assert_eq!(load("x"), [0.0; 3]);
        assert_eq!(memory("MemTotal"), Memory::default());
        assert_eq!(disk_traffic("254 0 vda 1"), Disk::default());
        assert_eq!(network("eth0:"), Network::default());
    }

    #[test]
    fn a_share_is_of_what_passed() {
        let time = |user_ms, idle_ms| CpuTime { user_ms, idle_ms, ..CpuTime::default() };
        assert_eq!(busy_percent(&time(0, 0), &time(50, 150)), 25.0);
        assert_eq!(busy_percent(&time(50, 50), &time(50, 50)), 0.0);
        assert_eq!(busy_percent(&time(50, 50), &time(0, 0)), 0.0);
    }

    #[tokio::test]
    async fn a_real_machine_has_processors_memory_and_a_root() {
        let stats = sample(&Access::default()).await.unwrap();
        assert!(stats.cpus > 0 && stats.processes > 0, "{stats:?}");
        assert!(stats.memory.available_bytes <= stats.memory.total_bytes);
        assert!(stats.disk.total_bytes > 0);
    }
}
