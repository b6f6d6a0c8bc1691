//! wrk: asks as fast as it is answered.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

/// What wrk measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    pub requests: u64,
    pub requests_per_sec: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Keeps `connections` busy for so long.
pub(super) fn run(
    address: SocketAddr,
    host: &str,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Load> {
    let output = Command::new("wrk")
        .args(["-t", "2", "-c", &connections.to_string()])
        .args(["-d", &format!("{}s", duration.as_secs()), "--latency"])
        .args(["-H", &format!("Host: {host}"), &format!("http://{address}/")])
        .output()
        .context("cannot run wrk: make setup installs it")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = said.contains("Socket errors") || said.contains("Non-2xx");
    ensure!(output.status.success() && !wrong, "wrk: {said}");
    read(&said).with_context(|| format!("wrk said {said}"))
}

fn read(said: &str) -> Option<Load> {
    let mut load = Load { requests: 0, requests_per_sec: 0.0, p50_ms: 0.0, p99_ms: 0.0 };
    for line in said.lines().map(str::trim) {
        if let Some((count, _)) = line.split_once(" requests in ") {
            load.requests = count.parse().ok()?;
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            load.requests_per_sec = rate.trim().parse().ok()?;
        } else if let Some(time) = line.strip_prefix("50%") {
            load.p50_ms = millis(time.trim())?;
        } else if let Some(time) = line.strip_prefix("99%") {
            load.p99_ms = millis(time.trim())?;
        }
    }
    (load.requests > 0 && load.p99_ms > 0.0).then_some(load)
}

/// Reads `812.00us`, `1.34ms` or `1.20s`.
fn millis(time: &str) -> Option<f64> {
    let number = time.trim_end_matches(char::is_alphabetic);
    let value: f64 = number.parse().ok()?;
    match time.get(number.len()..)? {
        "us" => Some(value / 1000.0),
        "ms" => Some(value),
        "s" => Some(value * 1000.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let said = "Running 2s test @ http://127.0.0.1:1/\n  2 threads and 64 connections\n  \
                    Latency Distribution\n     50%  812.00us\n     75%    1.34ms\n     90%    2.01ms\n     \
                    99%    4.20ms\n  81234 requests in 2.00s, 97.10MB read\nRequests/sec:  40580.11\n";
        let expected =
            Load { requests: 81234, requests_per_sec: 40580.11, p50_ms: 0.812, p99_ms: 4.2 };
        assert_eq!(read(said), Some(expected));
        assert_eq!(read("unable to connect"), None);
    }
}
