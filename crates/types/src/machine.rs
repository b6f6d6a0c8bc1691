//! What a sandbox says of its machine: `/processes`, `/stats`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One process of a sandbox, as the sandbox tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// Its user's name, or number where it has no name.
    pub user: String,
    /// Its arguments joined by spaces, at most 1024 bytes, or its name in brackets.
    pub command: String,
    /// The kernel's letter: `R` runs, `S` and `D` wait, `T` is stopped, `Z` has ended.
    pub state: String,
    /// Threads.
    pub threads: u32,
    /// Processor time it has used, in milliseconds.
    pub cpu_ms: u64,
    /// Memory of it that is in RAM, in bytes.
    pub rss_bytes: u64,
    /// How long ago it started, in milliseconds.
    pub age_ms: u64,
}

/// `GET /v1/sandboxes/{id}/stats`: how much of the machine is in use, as the sandbox tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SandboxStats {
    /// Seconds since the sandbox was restored.
    pub uptime_seconds: f64,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Processes, without the kernel's own.
    pub processes: u32,
    /// Processors.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// The root file system.
    pub disk: DiskStats,
    /// The sandbox's network.
    pub network: NetworkStats,
}

/// Processors. Times count from the template's boot and are of all processors together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CpuStats {
    /// How many.
    pub count: u32,
    /// The share of all of them that was busy over the last 0.2 s, 0 to 100.
    pub percent: f64,
    /// In programs, in milliseconds.
    pub user_ms: u64,
    /// In the kernel, in milliseconds.
    pub system_ms: u64,
    /// With nothing to do, in milliseconds.
    pub idle_ms: u64,
    /// Taken away by the host, in milliseconds.
    pub steal_ms: u64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryStats {
    /// All of it.
    pub total_bytes: u64,
    /// What programs and the kernel hold and would not give up.
    pub used_bytes: u64,
    /// What programs could still take.
    pub available_bytes: u64,
    /// Files kept in memory.
    pub cached_bytes: u64,
}

/// The root file system, and the traffic of its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskStats {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What is taken, in bytes.
    pub used_bytes: u64,
    /// What is left for programs, in bytes.
    pub available_bytes: u64,
    /// Read since the template's boot.
    pub read_bytes: u64,
    /// Written since the template's boot.
    pub written_bytes: u64,
}

/// The traffic of the sandbox's network since the template's boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkStats {
    /// Bytes that came.
    pub received_bytes: u64,
    /// Bytes that went.
    pub sent_bytes: u64,
    /// Packets that came.
    pub received_packets: u64,
    /// Packets that went.
    pub sent_packets: u64,
}
