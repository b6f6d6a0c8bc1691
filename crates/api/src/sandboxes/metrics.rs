//! `GET /v1/sandboxes/{id}/metrics`: the numbers of `stats` in Prometheus' text format.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use pando_types::machine::SandboxStats;

use super::{guest, stats};
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed};
use crate::refusals::Refusals;

/// How much of a sandbox's machine is in use, for Prometheus (text format 0.0.4).
#[utoipa::path(
    get, path = "/sandboxes/{id}/metrics", tag = "sandboxes", operation_id = "sandbox_metrics",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = String, content_type = "text/plain"), Refusals)
)]
pub async fn metrics(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Response, Refused> {
    let sample = guest(&api, &caller, &id).await?.stats().await.map_err(guest_failed)?;
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, content_type)], exposition(&stats::public(&sample)))
        .into_response())
}

/// The text. Whoever scrapes it knows the sandbox by the URL; its id is a
/// credential and stays out of the labels.
fn exposition(stats: &SandboxStats) -> String {
    let secs = |ms: u64| ms as f64 / 1000.0;
    let count = |number: u64| number as f64;
    let SandboxStats { cpu, memory, disk, network, .. } = stats;
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, f64)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP pando_sandbox_{name} {help}");
        let _ = writeln!(text, "# TYPE pando_sandbox_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "pando_sandbox_{name}{labels} {value}");
        }
    };
    let cpu_seconds = [
        (r#"{mode="user"}"#, secs(cpu.user_ms)),
        (r#"{mode="system"}"#, secs(cpu.system_ms)),
        (r#"{mode="idle"}"#, secs(cpu.idle_ms)),
        (r#"{mode="steal"}"#, secs(cpu.steal_ms)),
    ];
    let load = [
        (r#"{minutes="1"}"#, stats.load[0]),
        (r#"{minutes="5"}"#, stats.load[1]),
        (r#"{minutes="15"}"#, stats.load[2]),
    ];
    family(
        "uptime_seconds",
        "gauge",
        "Since the sandbox was restored",
        &[("", stats.uptime_seconds)],
    );
    family("processes", "gauge", "Processes", &[("", f64::from(stats.processes))]);
    family("cpus", "gauge", "Processors", &[("", f64::from(cpu.count))]);
    family(
        "cpu_seconds_total",
        "counter",
        "Processor time since the template's boot",
        &cpu_seconds,
    );
    family("load", "gauge", "Load averages", &load);
    family("memory_total_bytes", "gauge", "Memory", &[("", count(memory.total_bytes))]);
    family(
        "memory_available_bytes",
        "gauge",
        "Memory that programs could still take",
        &[("", count(memory.available_bytes))],
    );
    family("disk_total_bytes", "gauge", "The root file system", &[("", count(disk.total_bytes))]);
    family(
        "disk_available_bytes",
        "gauge",
        "What is left of the root file system",
        &[("", count(disk.available_bytes))],
    );
    let disk_traffic = [
        (r#"{direction="read"}"#, count(disk.read_bytes)),
        (r#"{direction="written"}"#, count(disk.written_bytes)),
    ];
    family("disk_bytes_total", "counter", "Traffic of the root disk", &disk_traffic);
    let traffic = [
        (r#"{direction="received"}"#, count(network.received_bytes)),
        (r#"{direction="sent"}"#, count(network.sent_bytes)),
    ];
    family("network_bytes_total", "counter", "Traffic of the network", &traffic);
    let packets = [
        (r#"{direction="received"}"#, count(network.received_packets)),
        (r#"{direction="sent"}"#, count(network.sent_packets)),
    ];
    family("network_packets_total", "counter", "Packets of the network", &packets);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::machine::{CpuTime, Disk, Memory, Network, Stats};

    #[test]
    fn each_family_is_described_and_each_line_has_a_number() {
        let stats = Stats {
            uptime_ms: 1500,
            cpus: 2,
            cpu_percent: 12.5,
            cpu: CpuTime { user_ms: 1500, ..CpuTime::default() },
            load: [0.5, 0.25, 0.0],
            processes: 9,
            memory: Memory { total_bytes: 2 << 30, ..Memory::default() },
            disk: Disk::default(),
            network: Network { sent_bytes: u64::MAX, ..Network::default() },
        };
        let text = exposition(&stats::public(&stats));
        assert!(text.contains("pando_sandbox_cpu_seconds_total{mode=\"user\"} 1.5\n"), "{text}");
        assert!(text.contains("pando_sandbox_memory_total_bytes 2147483648\n"), "{text}");
        for line in text.lines() {
            let value = line.rsplit(' ').next().unwrap();
            assert!(line.starts_with("# ") || value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
