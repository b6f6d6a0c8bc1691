//! What a VMM holds of the host's memory.

use std::fs;

use anyhow::Context;

/// Memory of one process, in KiB (`proc_pid_smaps(5)`, `smaps_rollup`).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// All pages that it has in memory, shared ones whole.
    pub resident_kib: u64,
    /// Its share of all pages that it maps.
    pub proportional_kib: u64,
    /// Pages that no other process maps.
    pub private_kib: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).context(path)?;
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Ok(Self {
            resident_kib: kib("Rss:"),
            proportional_kib: kib("Pss:"),
            private_kib: kib("Private_Clean:") + kib("Private_Dirty:"),
        })
    }

    /// The mean of several, in MiB: resident, proportional and private.
    pub(crate) fn mean_mib(all: &[Self]) -> [f64; 3] {
        let mean = |of: fn(&Self) -> u64| {
            let sum: u64 = all.iter().map(of).sum();
            sum as f64 / 1024.0 / all.len().max(1) as f64
        };
        [
            mean(|memory| memory.resident_kib),
            mean(|memory| memory.proportional_kib),
            mean(|memory| memory.private_kib),
        ]
    }
}
