//! What keeps a real machine awake, and what does not.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use pando_e2e::{Options, Sandbox, Server};
use reqwest::Method;
use reqwest::header::USER_AGENT;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const SERVER_JS: &str = include_str!("idle/server.js");
/// How long nobody uses a machine before it sleeps.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Long enough for any that may sleep, and several looks longer.
const LONG: Duration = Duration::from_secs(20);

async fn machine<'a>(server: &'a Server, begin: &str) -> anyhow::Result<Sandbox<'a>> {
    // Of the smallest size: six of them share two cores.
    let wanted = json!({ "cpu": 1, "memory_mb": 512, "idle_timeout_seconds": 600 });
    let sandbox = server.sandbox(wanted).await?;
    let put = server.request(Method::PUT, &sandbox.path("/fs?path=/srv/server.js"));
    put.body(SERVER_JS).send().await?.error_for_status()?;
    sandbox.sh(&format!("{begin} >/tmp/log 2>&1 & echo")).await?;
    Ok(sandbox)
}

async fn node<'a>(server: &'a Server) -> anyhow::Result<Sandbox<'a>> {
    let sandbox = machine(server, "setsid node /srv/server.js").await?;
    for _ in 0..240 {
        if sandbox.exec("curl -fso /dev/null http://localhost:3000/").await?.exit_code == 0 {
            return Ok(sandbox);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    anyhow::bail!("{}", sandbox.sh("cat /tmp/log").await?)
}

/// From now on it may sleep.
async fn may_sleep(server: &Server, sandbox: &Sandbox<'_>) -> anyhow::Result<()> {
    let wanted = json!({ "idle_timeout_seconds": TIMEOUT.as_secs() });
    let set = server.request(Method::PATCH, &sandbox.path("/lifecycle")).json(&wanted).send();
    set.await?.error_for_status()?;
    Ok(())
}

async fn status(server: &Server, sandbox: &Sandbox<'_>) -> anyhow::Result<String> {
    let seen = server.request(Method::GET, &sandbox.path("")).send().await?;
    let seen: Value = seen.error_for_status()?.json().await?;
    Ok(seen["status"].as_str().context("no status")?.to_owned())
}

async fn falls_asleep(server: &Server, sandbox: &Sandbox<'_>) -> anyhow::Result<()> {
    for _ in 0..600 {
        if status(server, sandbox).await? == "hibernated" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("it does not fall asleep: {}", server.log_tail())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_use_stays_awake_and_whoever_is_not_sleeps() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let worker = machine(&server, "setsid python3 -c 'while True: pass'").await?;
    let leased = machine(&server, "setsid pando-lease sleep 1000").await?;
    let (silent, events, idle) = (node(&server).await?, node(&server).await?, node(&server).await?);

    let url = format!("ws://127.0.0.1:{}/", server.url("").rsplit(':').next().context("no port")?);
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("host", silent.host(3000).parse()?);
    let (_socket, _) = tokio_tungstenite::connect_async(request).await?;
    let stream = server.edge(Method::GET, &events.host(3000), "/events").send().await?;
    let mut stream = stream.error_for_status()?.bytes_stream();
    ensure!(
        stream.next().await.context("no event")?? == ["data: ", &".".repeat(32), "\n\n"].concat()
    );
    ensure!(leased.sh("pgrep -cx sleep").await? == "1");

    let awake = [
        ("a worker", &worker),
        ("a lease", &leased),
        ("a silent WebSocket", &silent),
        ("a slow stream", &events),
    ];
    for (_, sandbox) in awake {
        may_sleep(&server, sandbox).await?;
    }
    may_sleep(&server, &idle).await?;
    falls_asleep(&server, &idle).await?;
    tokio::time::sleep(LONG).await;
    for (what, sandbox) in awake {
        let status = status(&server, sandbox).await?;
        ensure!(status == "running", "{what} keeps it {status}: {}", server.log_tail());
    }

    // Who only looks is answered, and wakes nothing.
    let page = |method, agent: &str| {
        server.edge(method, &idle.host(3000), "/").header(USER_AGENT, agent).send()
    };
    let unfurler = "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)";
    for (method, agent) in
        [(Method::GET, unfurler), (Method::HEAD, "curl/8"), (Method::GET, unfurler)]
    {
        let answer = page(method, agent).await?;
        ensure!(answer.status() == 200, "{agent}: {}", answer.status());
    }
    ensure!(status(&server, &idle).await? == "hibernated", "an unfurler woke it");
    let process: u32 =
        page(Method::GET, "curl/8").await?.error_for_status()?.text().await?.parse()?;
    ensure!(process > 1, "the app did not answer");

    // What ends, ends.
    leased.sh("pkill -x sleep").await?;
    worker.sh("pkill python3").await?;
    drop(stream);
    for sandbox in [&leased, &worker, &events] {
        falls_asleep(&server, sandbox).await?;
    }
    server.finish()
}
