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

fn host_mtu() -> anyhow::Result<String> {
    let device = run(
        "sh",
        &["-c", "ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -1"],
    )?;
    Ok(std::fs::read_to_string(format!("/sys/class/net/{}/mtu", device.trim()))?.trim().to_owned())
}
