//! `GET /v1/sandboxes/{id}/stats`.

use axum::Json;
use axum::extract::State;
use pando_guest_protocol::machine::Stats;
use pando_types::machine::{CpuStats, DiskStats, MemoryStats, NetworkStats, SandboxStats};

use super::guest;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed};
use crate::refusals::Refusals;

/// How much of a sandbox's machine is in use, as the sandbox tells it.
#[utoipa::path(
    get, path = "/sandboxes/{id}/stats", tag = "sandboxes", operation_id = "sandbox_stats",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = SandboxStats), Refusals)
)]
pub async fn stats(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<SandboxStats>, Refused> {
    let stats = guest(&api, &caller, &id).await?.stats().await.map_err(guest_failed)?;
    Ok(Json(public(&stats)))
}

/// A guest's numbers as the wire has them. They are its own word: a guest that lies
/// about itself fools nobody but its owner.
pub fn public(stats: &Stats) -> SandboxStats {
    let Stats { cpu, memory, disk, network, .. } = stats;
    SandboxStats {
        uptime_seconds: stats.uptime_ms as f64 / 1000.0,
        load: stats.load,
        processes: stats.processes,
        cpu: CpuStats {
            count: stats.cpus,
            percent: stats.cpu_percent,
            user_ms: cpu.user_ms,
            system_ms: cpu.system_ms,
            idle_ms: cpu.idle_ms,
            steal_ms: cpu.steal_ms,
        },
        memory: MemoryStats {
            total_bytes: memory.total_bytes,
            used_bytes: memory.total_bytes.saturating_sub(memory.available_bytes),
            available_bytes: memory.available_bytes,
            cached_bytes: memory.cached_bytes,
        },
        disk: DiskStats {
            total_bytes: disk.total_bytes,
            used_bytes: disk.total_bytes.saturating_sub(disk.available_bytes),
            available_bytes: disk.available_bytes,
            read_bytes: disk.read_bytes,
            written_bytes: disk.written_bytes,
        },
        network: NetworkStats {
            received_bytes: network.received_bytes,
            sent_bytes: network.sent_bytes,
            received_packets: network.received_packets,
            sent_packets: network.sent_packets,
        },
    }
}
