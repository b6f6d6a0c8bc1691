//! Sandboxes that sleep, and those who come meanwhile.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use pando_e2e::{Options, Random, Sandbox, Server};
use reqwest::Method;
use serde_json::{Value, json};

const TABLE_PY: &str = include_str!("asleep/table.py");
const TABLE_BYTES: usize = 100 << 20;
/// Requests at once at one that sleeps.
const AT_ONCE: usize = 100;
/// A timer as short as it may be.
const IDLE_SECONDS: u64 = 1;
/// How often it sleeps and wakes in CI; `make test-sleep` has 1,000.
const ROUNDS: usize = 25;

/// A checksum that both sides have at hand (RFC 1950).
fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1u32, 0u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    (high << 16) | low
}

async fn table<'a>(server: &'a Server) -> anyhow::Result<Sandbox<'a>> {
    let sandbox = server.sandbox(json!({})).await?;
    let put = server.request(Method::PUT, &sandbox.path("/fs?path=/srv/table.py")).body(TABLE_PY);
    put.send().await?.error_for_status()?;
    sandbox.sh("setsid python3 /srv/table.py >/tmp/log 2>&1 & echo").await?;
    for _ in 0..120 {
        if sandbox.exec("curl -fso /dev/null http://localhost:8000/").await?.exit_code == 0 {
            return Ok(sandbox);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    anyhow::bail!("{}", sandbox.sh("cat /tmp/log").await?)
}

impl Page<'_> {
    async fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<String> {
        let answer = self.server.edge(method, &self.host, path).body(body).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 200, "{path} answered {status}: {text}\n{}", self.server.log_tail());
        Ok(text)
    }
}

/// The table's server through the edge.
struct Page<'a> {
    server: &'a Server,
    host: String,
}

async fn post(server: &Server, path: &str) -> anyhow::Result<()> {
    let answer = server.request(Method::POST, path).json(&json!({})).send().await?;
    answer.error_for_status().map(drop).context(path.to_owned())
}

async fn status(server: &Server, sandbox: &Sandbox<'_>) -> anyhow::Result<String> {
    let seen = server.request(Method::GET, &sandbox.path("")).send().await?;
    let seen: Value = seen.error_for_status()?.json().await?;
    Ok(seen["status"].as_str().context("no status")?.to_owned())
}

/// How often it was woken.
async fn wakes(server: &Server, sandbox: &Sandbox<'_>) -> anyhow::Result<usize> {
    let path = sandbox.path("/events?tail=1000");
    let seen: Value = server.request(Method::GET, &path).send().await?.json().await?;
    let events = seen["events"].as_array().context("no events")?;
    Ok(events.iter().filter(|event| event["kind"] == "woken").count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_come_at_once_wake_it_once() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = table(&server).await?;
    let page = Page { server: &server, host: sandbox.host(8000) };
    let process = page.ask(Method::GET, "/", Vec::new()).await?;
    post(&server, &sandbox.path("/hibernate")).await?;

    let upload: Vec<u8> =
        (0..5_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sum = adler32(&upload).to_string();
    let uploaded = page.ask(Method::POST, "/", upload);
    let asked = (1..AT_ONCE).map(|_| page.ask(Method::GET, "/", Vec::new()));
    let (uploaded, answers) = tokio::try_join!(uploaded, try_join_all(asked))?;
    ensure!(uploaded == sum, "the body arrived otherwise");
    ensure!(answers.iter().all(|answer| *answer == process), "another process answered");
    let wakes = wakes(&server, &sandbox).await?;
    ensure!(wakes == 1, "{wakes} wakes");
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_of_sleep_change_nothing() -> anyhow::Result<()> {
    let rounds = match std::env::var("PANDO_SLEEP_ROUNDS") {
        Ok(text) => text.parse()?,
        Err(_) => ROUNDS,
    };
    let server = Server::start(Options::default()).await?;
    let sandbox = table(&server).await?;
    let page = Page { server: &server, host: sandbox.host(8000) };
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}, {rounds} rounds");
    let mut random = Random::new(seed);
    let mut expected: Vec<u8> = (0..TABLE_BYTES).map(|at| (at % 256) as u8).collect();
    let process = page.ask(Method::GET, "/", Vec::new()).await?;
    for round in 0..rounds {
        let at = usize::try_from(random.below(TABLE_BYTES as u64))?;
        let value = u8::try_from(random.below(256))?;
        expected[at] = value;
        let sums = (round % 10 == 9 || round + 1 == rounds).then(|| adler32(&expected));
        let gone = async {
            let said = page.ask(Method::PUT, &format!("/{at}/{value}"), Vec::new()).await?;
            ensure!(said == value.to_string(), "it wrote {said}");
            if round % 2 == 0 {
                post(&server, &sandbox.path("/hibernate")).await?;
            } else {
                lifecycle(&server, &sandbox, IDLE_SECONDS).await?;
                while status(&server, &sandbox).await? != "hibernated" {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                lifecycle(&server, &sandbox, 0).await?;
            }
            // Who comes wakes it, and finds the same process.
            let answer = page.ask(Method::GET, "/", Vec::new()).await?;
            ensure!(answer == process, "process {answer} instead of {process}");
            if let Some(sum) = sums {
                let seen = page.ask(Method::GET, "/sums", Vec::new()).await?;
                ensure!(seen == format!("{sum} {sum}"), "{seen} instead of {sum}");
            }
            Ok(())
        };
        if let Err(error) = gone.await {
            let look = "tail -n 40 /tmp/log; ps -eo pid,stat,etimes,nlwp,args; ss -tan | head -40";
            let seen = sandbox.sh(look).await.unwrap_or_else(|error| format!("{error:#}"));
            return Err(error.context(format!("round {round}; there is in it:\n{seen}")));
        }
    }
    server.finish()
}

async fn lifecycle(server: &Server, sandbox: &Sandbox<'_>, seconds: u64) -> anyhow::Result<()> {
    let wanted = json!({ "idle_timeout_seconds": seconds });
    let set = server.request(Method::PATCH, &sandbox.path("/lifecycle")).json(&wanted).send();
    set.await?.error_for_status()?;
    Ok(())
}

/// What makes two machines of one past tell themselves apart.
const DRAW: &str = "head -c 32 /dev/urandom | md5sum; \
    python3 -c 'import secrets, uuid; print(secrets.token_hex(32)); print(uuid.uuid4())'; \
    cat /proc/sys/kernel/random/uuid";

/// The guest's clock stands between two looks at ours, give or take 50 ms.
async fn clock_is_right(sandbox: &Sandbox<'_>) -> anyhow::Result<()> {
    let now = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap_or_default().as_secs_f64()
    };
    let before = now();
    let told: f64 = sandbox.sh("date +%s.%N").await?.parse()?;
    let after = now();
    ensure!(before - 0.05 < told && told < after + 0.05, "{told} between {before} and {after}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn forks_of_one_that_slept_for_an_hour_are_told_apart() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    // For the guest, its clock an hour behind before is an hour asleep.
    sandbox.sh("date -s \"@$(( $(date +%s) - 3600 ))\"").await?;
    post(&server, &sandbox.path("/hibernate")).await?;
    post(&server, &sandbox.path("/wake")).await?;
    clock_is_right(&sandbox).await?;

    let request = server.request(Method::POST, &sandbox.path("/fork-tree"));
    let tree: Value = request.json(&json!({ "count": 2 })).send().await?.json().await?;
    let mut drawn = std::collections::HashSet::new();
    let children = tree["children"].as_array().context("no children")?;
    ensure!(children.len() == 2, "{tree}");
    let ids = children.iter().filter_map(|child| child["id"].as_str());
    for id in ids.chain([sandbox.id.as_str()]) {
        let machine = Sandbox::of(&server, id);
        clock_is_right(&machine).await?;
        for line in machine.sh(DRAW).await?.lines() {
            ensure!(drawn.insert(line.to_owned()), "{line} was drawn twice");
        }
    }
    ensure!(drawn.len() == 3 * 4, "{drawn:?}");
    server.finish()
}
