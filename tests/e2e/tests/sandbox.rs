//! The sandbox surface in a real VM.

use pando_e2e::{Options, Server};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_runs_commands_and_keeps_files() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({ "metadata": { "purpose": "test" } })).await?;
    assert_eq!(sandbox.made["status"], "running");
    assert_eq!(sandbox.made["metadata"]["purpose"], "test");

    // What a template promises.
    for tool in [
        "git --version",
        "curl --version",
        "python3 -m venv --help",
        "cc --version",
        "mise --version",
    ] {
        sandbox.sh(tool).await?;
    }
    assert!(sandbox.sh("node --version").await?.starts_with("v22."));
    sandbox.sh("npm --version").await?;

    // Who it is.
    let short = &sandbox.id[..8];
    assert_eq!(sandbox.sh("hostname").await?, format!("pando-{short}"));
    assert_eq!(sandbox.sh("wc -c < /etc/machine-id").await?, "33");
    let skew = sandbox.sh("date +%s%N").await?.parse::<u128>()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    assert!(now.abs_diff(skew) < 5_000_000_000, "clock is off by {} ns", now.abs_diff(skew));

    // Output, exit codes, streams, environment, users, standard input.
    let answer = sandbox.exec("echo out; echo err >&2; exit 7").await?;
    assert_eq!(
        (answer.stdout.as_str(), answer.stderr.as_str(), answer.exit_code),
        ("out\n", "err\n", 7)
    );
    let answer = sandbox.exec_with(json!({ "cmd": ["printf", "%s|", "a b", "$HOME"] })).await?;
    assert_eq!(answer.stdout, "a b|$HOME|");
    let answer = sandbox
        .exec_with(json!({
            "cmd": "echo $GREETING; pwd; id -un; cat",
            "env": { "GREETING": "hei" }, "cwd": "/tmp", "user": "app", "stdin": "typed",
        }))
        .await?;
    assert_eq!(answer.stdout, "hei\n/tmp\napp\ntyped");
    assert_eq!(sandbox.exec("printf '\\377\\376ok'").await?.stdout, "\u{fffd}\u{fffd}ok");
    let answer = sandbox.exec("kill -9 $$").await?;
    assert_eq!(answer.exit_code, 128 + 9);

    // A detached server does not hold the exec that started it, and is reaped when it ends.
    sandbox.sh("setsid sleep 2 >/dev/null 2>&1 & echo started").await?;
    let holding = sandbox.exec_with(json!({ "cmd": "setsid sleep 300 & echo started" })).await?;
    assert_eq!(holding.stdout, "started\n");
    assert_eq!(sandbox.sh("pgrep -c sleep").await?, "2");
    sandbox.sh("pkill sleep; sleep 0.5; ! ps -eo stat | grep -q ^Z").await?;

    // Many at once.
    let many = (0..20).map(|number| {
        let sandbox = &sandbox;
        async move { sandbox.sh(&format!("sleep 0.2; echo {number}")).await }
    });
    let said = futures_util::future::try_join_all(many).await?;
    assert_eq!(said, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());

    // A flood of output is cut at the limit, not buffered.
    let request = sandbox.path("/exec");
    let flood = server
        .request(Method::POST, &request)
        .json(&json!({ "cmd": "head -c 20000000 /dev/zero | tr '\\0' x" }));
    let flood: Value = flood.send().await?.json().await?;
    assert_eq!(flood["stdout"].as_str().map(str::len), Some(8 * 1024 * 1024));
    assert_eq!(flood["truncated"], true);

    // Files, streamed both ways.
    let bytes: Vec<u8> = (0..5_000_000u32).map(|number| (number % 251) as u8).collect();
    let path = sandbox.path("/fs?path=/srv/deep/er/big.bin");
    let written = server.request(Method::PUT, &path).body(bytes.clone()).send().await?;
    assert_eq!(written.status(), 200);
    assert_eq!(written.json::<Value>().await?["bytes"], 5_000_000);
    let read = server.request(Method::GET, &path).send().await?;
    assert_eq!(read.bytes().await?, bytes);
    let listing: Value = server
        .request(Method::GET, &sandbox.path("/fs/dir?path=/srv/deep"))
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(listing["entries"][0]["name"], "er");
    assert_eq!(listing["entries"][0]["is_dir"], true);
    let missing =
        server.request(Method::GET, &sandbox.path("/fs/stat?path=/no/such")).send().await?;
    assert_eq!(missing.status(), 404);

    assert_eq!(sandbox.delete().await?, 204);
    assert_eq!(sandbox.delete().await?, 204);
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_kills_the_whole_group() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let command = json!({ "cmd": "sleep 1000 & sleep 1000; echo never", "timeout_seconds": 1 });
    let answer = server.request(Method::POST, &sandbox.path("/exec")).json(&command).send().await?;
    assert_eq!(answer.status(), 504);
    let refusal: Value = answer.json().await?;
    assert!(refusal["error"].as_str().unwrap_or_default().contains("timeout"), "{refusal}");
    assert_eq!(sandbox.exec("pgrep sleep").await?.exit_code, 1);
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_real_and_spare_disks_are_there() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({ "cpu": 1, "memory_mb": 1024 })).await?;
    assert_eq!(sandbox.sh("nproc").await?, "1");
    let kib: u64 = sandbox.sh("awk '/MemTotal/ {print $2}' /proc/meminfo").await?.parse()?;
    assert!((800 << 10..=1024 << 10).contains(&kib), "{kib} KiB");
    let serials = sandbox.sh("for disk in /sys/block/vd*; do cat $disk/serial; echo; done").await?;
    assert_eq!(
        serials.lines().collect::<Vec<_>>(),
        ["pando-root", "pando-spare0", "pando-spare1", "pando-spare2"]
    );
    assert_eq!(sandbox.sh("cat /sys/block/vdb/size").await?, (64u64 << 30 >> 9).to_string());
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sandboxes_share_no_secret() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let (one, two) = tokio::try_join!(server.sandbox(json!({})), server.sandbox(json!({})))?;
    for command in [
        "head -c 32 /dev/urandom | sha256sum",
        "python3 -c 'import secrets; print(secrets.token_hex())'",
        "cat /proc/sys/kernel/random/uuid",
        "cat /etc/machine-id",
        "hostname",
    ] {
        assert_ne!(one.sh(command).await?, two.sh(command).await?, "{command}");
    }
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_keeps_everything_and_resume_goes_on() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    sandbox.sh("echo kept > /dev/shm/note").await?;
    let paused = server.request(Method::POST, &sandbox.path("/pause")).send().await?;
    assert!(paused.status().is_success());
    let shown: Value = server.request(Method::GET, &sandbox.path("")).send().await?.json().await?;
    assert_eq!(shown["status"], "paused");
    let refused = server
        .request(Method::POST, &sandbox.path("/exec"))
        .json(&json!({ "cmd": "true" }))
        .send()
        .await?;
    assert_eq!(refused.status(), 409);
    for _ in 0..2 {
        let resumed = server.request(Method::POST, &sandbox.path("/resume")).send().await?;
        assert!(resumed.status().is_success());
    }
    assert_eq!(sandbox.sh("cat /dev/shm/note").await?, "kept");
    server.finish()
}
