//! What a guest reaches, and what it does not.

use std::net::Ipv4Addr;

use pando_e2e::{Options, Server, pool, run};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_reaches_the_internet_and_nothing_near() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let (one, two) = tokio::try_join!(server.sandbox(json!({})), server.sandbox(json!({})))?;
    // Names resolve and TLS is trusted: a package registry answers.
    let registry = one.sh("npm ping 2>&1 || true; npm view is-number version").await?;
    assert!(registry.contains("7.0.0"), "{registry}");
    two.sh(
        "curl -fsS -o /dev/null https://pypi.org/simple/six/ || pip download --no-deps -d /tmp six",
    )
    .await?;
    assert_eq!(one.sh("cat /sys/class/net/eth0/mtu").await?, host_mtu()?);

    // Nothing near answers: the host by any address, the neighbour, metadata, private ranges.
    one.sh("setsid python3 -m http.server 8000 >/dev/null 2>&1 & sleep 3").await?;
    let host_address =
        run("sh", &["-c", "ip -4 route get 192.0.2.1 | sed -n 's/.* src \\([0-9.]*\\).*/\\1/p'"])?;
    let api = server.url("").rsplit(':').next().map(str::to_owned).unwrap_or_default();
    let link = |offset: u32| Ipv4Addr::from_bits(pool().to_bits() + offset);
    for target in [
        format!("{}:{api}", host_address.trim()),
        format!("172.16.0.1:{api}"),
        format!("{}:{api}", link(0)),
        format!("{}:{api}", link(1)),
        format!("{}:8000", link(1)),
        format!("{}:8000", link(3)),
        "169.254.169.254:80".to_owned(),
        "192.168.0.1:80".to_owned(),
    ] {
        let (address, port) = target.split_once(':').unwrap_or_default();
        let command = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}'");
        let answer = two.exec(&command).await?;
        assert_ne!(answer.exit_code, 0, "{target} is reachable");
    }
    // No IPv6 but loopback.
    assert_eq!(one.sh("ip -6 -o address show dev eth0 | wc -l").await?, "0");
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_may_be_denied_more() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let registry = "curl -fsS -m 20 -o /dev/null https://registry.npmjs.org/is-number/latest";
    let open = server.sandbox(json!({})).await?;
    let closed = server.sandbox(json!({ "egress_deny": ["0.0.0.0/0"] })).await?;
    open.sh(registry).await?;
    assert_ne!(closed.exec(registry).await?.exit_code, 0, "it reaches the registry");
    assert_ne!(closed.exec("timeout 5 getent hosts registry.npmjs.org").await?.exit_code, 0);
    // Its agent and its ports are reached all the same.
    closed.sh("echo hello > /tmp/index.html").await?;
    closed.sh("cd /tmp && setsid python3 -m http.server 8000 >/dev/null 2>&1 & sleep 3").await?;
    let page = server.edge(reqwest::Method::GET, &closed.host(8000), "/").send().await?;
    assert_eq!(page.text().await?.trim(), "hello");
    let refused = server
        .request(reqwest::Method::POST, "/v1/sandboxes")
        .json(&json!({ "template": "base", "egress_deny": ["10.0.0.0/99"] }))
        .send()
        .await?;
    assert_eq!(refused.status().as_u16(), 400);
    let said: serde_json::Value = refused.json().await?;
    assert_eq!(said["field"], "egress_deny", "{said}");
    server.finish()
}

/// Each datagram from a port of its own is a connection to those who track it.
const OPEN_MANY: &str = "python3 -c '
import socket
for i in range(100000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b\"x\", (\"198.51.100.%d\" % (i % 200 + 1), 9))
    s.close()
'";

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_opens_all_it_can_leaves_the_host_room() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let (greedy, other) = tokio::try_join!(server.sandbox(json!({})), server.sandbox(json!({})))?;
    let tracked = || -> anyhow::Result<u64> {
        let text = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count")?;
        Ok(text.trim().parse()?)
    };
    let before = tracked()?;
    greedy.sh(OPEN_MANY).await?;
    let more = tracked()?.saturating_sub(before);
    assert!(more < 10_000, "the host tracks {more} connections more");
    other.sh("curl -fsS -m 30 -o /dev/null https://registry.npmjs.org/is-number/latest").await?;
    server.finish()
}

fn host_mtu() -> anyhow::Result<String> {
    let device = run(
        "sh",
        &["-c", "ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -1"],
    )?;
    Ok(std::fs::read_to_string(format!("/sys/class/net/{}/mtu", device.trim()))?.trim().to_owned())
}
