//! `/proc/PID/stat` (`proc(5)`).

use std::fs;

/// The flag of a thread of the kernel's own (`PF_KTHREAD` in `linux/sched.h`).
const KERNEL_THREAD: u64 = 0x0020_0000;
/// Clock ticks a second, as all of `/proc` counts on x86 and arm64 (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// What the kernel says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcStat {
    /// Its id.
    pub pid: u32,
    /// Its program's name, cut by the kernel to 15 bytes.
    pub name: String,
    /// `R`, `S`, `D`, `Z` and so on.
    pub state: char,
    /// Its parent's id.
    pub parent: u32,
    /// Its session's.
    pub session: u32,
    /// Whether it is the kernel's own.
    pub of_kernel: bool,
    /// Processor time, in milliseconds.
    pub cpu_ms: u64,
    /// Threads.
    pub threads: u32,
    /// When it started, in milliseconds since boot.
    pub started_ms: u64,
    /// Pages of it in memory.
    pub rss_pages: u64,
}

/// Milliseconds of clock ticks.
pub fn ticks_ms(ticks: u64) -> u64 {
    ticks.saturating_mul(1000 / TICKS_PER_SECOND)
}

/// Of one process; `None` when it has gone.
pub fn of(pid: u32) -> Option<ProcStat> {
    parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// The ids of all processes, in no order.
pub fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// `pid (name) state ppid pgrp session …`; a name may hold spaces and parentheses.
fn parse(text: &str) -> Option<ProcStat> {
    let (before, after) = text.rsplit_once(')')?;
    let (pid, name) = before.split_once(" (")?;
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    // The manual counts from 1, and the state is its third.
    let field = |number: usize| fields.get(number - 3).copied();
    let number = |index: usize| field(index)?.parse::<u64>().ok();
    let small = |index: usize| field(index)?.parse::<u32>().ok();
    Some(ProcStat {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        state: field(3)?.chars().next()?,
        parent: small(4)?,
        session: small(6)?,
        of_kernel: number(9)? & KERNEL_THREAD != 0,
        cpu_ms: ticks_ms(number(14)?.saturating_add(number(15)?)),
        threads: small(20)?,
        started_ms: ticks_ms(number(22)?),
        rss_pages: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest() {
        let text = "42 (a) R (b) c) S 7 42 41 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 3 0 1234 9000 56 18446744073709551615\n";
        let stat = parse(text).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.state), (42, "a) R (b) c", 'S'));
        assert_eq!((stat.parent, stat.session, stat.threads), (7, 41, 3));
        assert_eq!((stat.cpu_ms, stat.started_ms, stat.rss_pages), (2000, 12_340, 56));
        assert!(!stat.of_kernel);
    }

    #[test]
    fn this_process_is_found_and_nonsense_is_not() {
        let own = std::process::id();
        assert!(pids().any(|pid| pid == own));
        assert_eq!(of(own).unwrap().pid, own);
        for text in ["", "1", "1 (a", "1 (a) ", "1 (a) S 1 1", "x (a) S 1 1 1 1 1 1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
