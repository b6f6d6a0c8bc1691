//! What a machine says of itself: what runs in it, and how much of it is in use.

use serde::{Deserialize, Serialize};

/// The most processes that one answer lists; those of the lowest ids.
pub const MAX_PROCESSES: usize = 4096;
/// The bytes of one process's command line that are told.
pub const MAX_COMMAND_LINE_BYTES: usize = 1024;

/// One process. The kernel's own threads are not listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its user's name, or number where it has no name.
    pub user: String,
    /// Its arguments joined by spaces, or its name in brackets where it has none.
    pub command: String,
    /// The kernel's letter: `R`, `S`, `D`, `T`, `Z` and so on.
    pub state: char,
    /// Threads.
    pub threads: u32,
    /// Processor time it has used, in milliseconds.
    pub cpu_ms: u64,
    /// Memory of it that is in RAM, in bytes.
    pub rss_bytes: u64,
    /// How long ago it started, in milliseconds.
    pub age_ms: u64,
}

/// How much of the machine is in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Milliseconds since this machine was restored.
    pub uptime_ms: u64,
    /// Processors.
    pub cpus: u32,
    /// Share of all processors that was busy just now, 0 to 100.
    pub cpu_percent: f64,
    /// Processor time since the template booted, in milliseconds of all processors.
    pub cpu: CpuTime,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Processes, without the kernel's own threads.
    pub processes: u32,
    /// Memory, in bytes.
    pub memory: Memory,
    /// The root file system, in bytes.
    pub disk: Disk,
    /// The link to the host.
    pub network: Network,
}

/// Where processor time went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuTime {
    /// Programs.
    pub user_ms: u64,
    /// The kernel, with interrupts.
    pub system_ms: u64,
    /// Nothing to do, or waiting for a disk.
    pub idle_ms: u64,
    /// Wanted to run while the host gave the processor to somebody else.
    pub steal_ms: u64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// All of it.
    pub total_bytes: u64,
    /// What programs could still take.
    pub available_bytes: u64,
    /// Files kept in memory, which is given up when needed.
    pub cached_bytes: u64,
}

/// The root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disk {
    /// All of it.
    pub total_bytes: u64,
    /// What is left for programs.
    pub available_bytes: u64,
    /// Read from the disk.
    pub read_bytes: u64,
    /// Written to it.
    pub written_bytes: u64,
}

/// The link to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Network {
    /// Bytes that came.
    pub received_bytes: u64,
    /// Bytes that went.
    pub sent_bytes: u64,
    /// Packets that came.
    pub received_packets: u64,
    /// Packets that went.
    pub sent_packets: u64,
}
