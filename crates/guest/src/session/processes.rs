//! What runs, from `/proc`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use pando_guest_protocol::machine::{MAX_COMMAND_LINE_BYTES, MAX_PROCESSES, Process};
use pando_guest_protocol::session::Failure;
use rustix::param::page_size;
use tokio::net::TcpStream;

use super::failure::{Stop, refused};
use super::files::blocking;
use super::json_lines::JsonLines;
use crate::process;
use crate::sys::proc_stat::{self, ProcStat};

/// Sends every process by its id, the kernel's own threads left out.
pub async fn run(stream: &mut TcpStream) -> Result<(), Stop> {
    let processes = blocking(list).await?;
    let mut lines = JsonLines::new(stream);
    for process in &processes {
        lines.push(process).await?;
    }
    lines.end().await
}

fn list() -> Result<Vec<Process>, Failure> {
    let names = process::names().map_err(|error| refused("/etc/passwd", &error))?;
    let uptime_ms = uptime_ms();
    let mut pids: Vec<u32> = proc_stat::pids().collect();
    pids.sort_unstable();
    // One that ended meanwhile is not there to be listed.
    let found = pids.into_iter().filter_map(|pid| describe(pid, uptime_ms, &names));
    Ok(found.take(MAX_PROCESSES).collect())
}

fn describe(pid: u32, uptime_ms: u64, names: &HashMap<u32, String>) -> Option<Process> {
    let stat = proc_stat::of(pid).filter(|stat| !stat.of_kernel)?;
    let uid = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    Some(Process {
        pid,
        parent: stat.parent,
        user: names.get(&uid).cloned().unwrap_or_else(|| uid.to_string()),
        command: command_line(&stat),
        state: stat.state,
        threads: stat.threads,
        cpu_ms: stat.cpu_ms,
        rss_bytes: stat.rss_pages.saturating_mul(page_size() as u64),
        age_ms: uptime_ms.saturating_sub(stat.started_ms),
    })
}

/// The arguments, which a process may set to anything, or its name where it has none.
fn command_line(stat: &ProcStat) -> String {
    let mut bytes = Vec::new();
    let limit = MAX_COMMAND_LINE_BYTES as u64;
    let read = File::open(format!("/proc/{}/cmdline", stat.pid))
        .and_then(|file| file.take(limit).read_to_end(&mut bytes));
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if read.is_err() || words.is_empty() {
        return format!("[{}]", stat.name);
    }
    let text = String::from_utf8_lossy(words);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Milliseconds since the template booted.
pub fn uptime_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    secs.saturating_mul(1000) + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_the_list() {
        let own = list().unwrap().into_iter().find(|one| one.pid == std::process::id()).unwrap();
        assert!(own.command.contains("pando_guest"), "{}", own.command);
        assert!(own.rss_bytes > 0 && own.threads > 0 && own.age_ms < 3_600_000, "{own:?}");
    }
}
