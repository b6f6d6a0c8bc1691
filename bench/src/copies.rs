//! Copies of a machine: what a snapshot, forks, sleep and wake take, beside the bare
//! hypervisor that restores a machine which nobody has written to.

mod apps;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pando_vm::sys::host;
use reqwest::Method;
use reqwest::header::HOST;
use serde_json::{Value, json};

use self::apps::App;
use crate::memory::Memory;
use crate::sample::Sample;
use crate::server::Server;
use crate::{Arguments, floor};

/// What the parent writes: bytes that no page of zeros can stand for.
const WRITE: &str = "head -c 200M /dev/urandom > /dev/shm/written";
const WRITTEN_MIB: u64 = 200;
/// How often it is looked whether an app answers: once in 2 s, for 20 minutes.
const INSTALL_LOOKS: usize = 600;
/// Requests that an app answers before it is taken to be warm.
const WARM_REQUESTS: usize = 20;
const TREE: usize = 10;
const MIB: u64 = 1024 * 1024;

/// A sandbox, by its path.
struct Machine<'a> {
    server: &'a Server,
    id: String,
}

impl Machine<'_> {
    async fn create(server: &Server) -> anyhow::Result<Machine<'_>> {
        let made = server.ask(Method::POST, "/v1/sandboxes", json!({})).await?;
        Machine::of(server, &made)
    }

    fn of<'a>(server: &'a Server, made: &Value) -> anyhow::Result<Machine<'a>> {
        Ok(Machine { server, id: made["id"].as_str().context("no id")?.to_owned() })
    }

    async fn post(&self, verb: &str, body: Value) -> anyhow::Result<(Value, Duration)> {
        let begun = Instant::now();
        let path = format!("/v1/sandboxes/{}/{verb}", self.id);
        let answer = self.server.ask(Method::POST, &path, body).await?;
        Ok((answer, begun.elapsed()))
    }

    async fn sh(&self, command: &str) -> anyhow::Result<Duration> {
        let (answer, took) = self.post("exec", json!({ "cmd": command })).await?;
        ensure!(answer["exit_code"] == 0, "`{command}`: {answer}");
        Ok(took)
    }

    /// A page of the server in it, through the edge.
    async fn page(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let host = format!("8000-{}.preview.localhost", self.id);
        let page = self.server.request(Method::GET, "/").header(HOST, host);
        let mut answer = page.send().await?.error_for_status()?;
        answer.chunk().await?;
        Ok(begun.elapsed())
    }

    async fn delete(self) -> anyhow::Result<()> {
        let path = format!("/v1/sandboxes/{}", self.id);
        self.server.request(Method::DELETE, &path).send().await?.error_for_status()?;
        Ok(())
    }

    fn memory(&self) -> anyhow::Result<Memory> {
        Memory::of(self.server.machine_of(&self.id)?)
    }
}

#[derive(Debug, Default)]
struct Measured {
    snapshot_pause: Sample,
    snapshot: Sample,
    fork_pause: Sample,
    fork: Sample,
    fork_exec: Sample,
    tree: Sample,
    hibernate_much: Sample,
    hibernate_little: Sample,
    wake: Sample,
    wake_exec: Sample,
    child: Vec<Memory>,
    parent: Vec<Memory>,
    /// Bytes of disk that a sleep took.
    disk_bytes: u64,
}

/// Prints the table.
pub(crate) async fn print(arguments: &Arguments) -> anyhow::Result<()> {
    let &Arguments { ref data, runs, network_pool: pool, .. } = arguments;
    let server = Server::start(data, pool, "16").await?;
    server.raise_quota()?;
    let mut measured = Measured::default();
    forks(&server, runs, &mut measured).await?;
    sleeps(&server, runs, &mut measured).await?;
    server.finish()?;
    let floor = floor::measure(data, pool, runs, 1).await?.restore;

    println!(
        "| copies, n={runs}; the parent has written {WRITTEN_MIB} MiB | p50 ms | p99 ms | p50 / floor |"
    );
    println!("| --- | --- | --- | --- |");
    for (what, sample) in [
        ("bare hypervisor: files to `ready` (the floor)", &floor),
        ("snapshot: until it is durable", &measured.snapshot),
        ("- in it: the parent stands still", &measured.snapshot_pause),
        ("fork of 1: until the child answers", &measured.fork),
        ("- in it: the parent stands still", &measured.fork_pause),
        ("- then: first exec of `true` in the child", &measured.fork_exec),
        ("fork of 10: until all answer", &measured.tree),
        ("hibernate, 200 MiB written: until it is durable", &measured.hibernate_much),
        ("hibernate, little written", &measured.hibernate_little),
        ("wake by API: until the agent answers", &measured.wake),
        ("- then: first exec of `true`", &measured.wake_exec),
    ] {
        let (half, most) = (sample.percentile(50), sample.percentile(99));
        println!("| {what} | {half:.1} | {most:.1} | {:.2} |", half / floor.percentile(50));
    }
    let [parent_resident, ..] = Memory::mean_mib(&measured.parent);
    let [.., child_private] = Memory::mean_mib(&measured.child);
    println!();
    println!("| a fresh child's private memory | {child_private:.1} MiB |");
    println!("| its parent's resident memory | {parent_resident:.1} MiB |");
    println!("| of it | {:.0} % |", 100.0 * child_private / parent_resident);
    println!(
        "| disk that the first sleep of a machine took that wrote {WRITTEN_MIB} MiB | {} MiB |",
        measured.disk_bytes / MIB
    );
    // Apps are installed over the network, which takes a while.
    let server = Server::start(data, pool, "16").await?;
    let pages = pages(&server, runs).await?;
    server.finish()?;
    println!();
    println!(
        "| wake by request, until the first byte | p50 ms | p99 ms | warm p50 ms | p50 above it | of that in the request alone |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for App { name, warm, woken, first, .. } in &pages {
        let (half, most) = (woken.percentile(50), woken.percentile(99));
        let (warm, first) = (warm.percentile(50), first.percentile(50));
        let (above, alone) = (half - warm, first - warm);
        println!("| {name} | {half:.1} | {most:.1} | {warm:.1} | {above:.1} | {alone:.1} |");
    }
    Ok(())
}

async fn forks(server: &Server, runs: usize, measured: &mut Measured) -> anyhow::Result<()> {
    let parent = Machine::create(server).await?;
    parent.sh(WRITE).await?;
    for _ in 0..runs {
        let (tree, took) = parent.post("fork-tree", json!({ "count": 1 })).await?;
        let child = Machine::of(server, &tree["children"][0])?;
        measured.child.push(child.memory()?);
        measured.parent.push(parent.memory()?);
        measured.fork.push(took);
        measured.fork_pause.push(pause(&tree)?);
        measured.fork_exec.push(child.sh("true").await?);
        child.delete().await?;
    }
    for _ in 0..runs {
        let (snapshot, took) = parent.post("snapshots", json!({})).await?;
        measured.snapshot.push(took);
        measured.snapshot_pause.push(pause(&snapshot)?);
        let path = format!("/v1/snapshots/{}", snapshot["id"].as_str().context("no id")?);
        server.request(Method::DELETE, &path).send().await?.error_for_status()?;
    }
    for _ in 0..runs.div_ceil(3) {
        let (tree, took) = parent.post("fork-tree", json!({ "count": TREE })).await?;
        measured.tree.push(took);
        for child in tree["children"].as_array().context("no children")? {
            Machine::of(server, child)?.delete().await?;
        }
    }
    parent.delete().await
}

async fn sleeps(server: &Server, runs: usize, measured: &mut Measured) -> anyhow::Result<()> {
    for run in 0..runs.div_ceil(3) {
        let sleeper = Machine::create(server).await?;
        sleeper.sh(WRITE).await?;
        let free = host::free_disk_bytes(&server.pool());
        measured.hibernate_much.push(sleeper.post("hibernate", json!({})).await?.1);
        if run == 0 {
            let left = host::free_disk_bytes(&server.pool());
            measured.disk_bytes = free.unwrap_or(0).saturating_sub(left.unwrap_or(0));
        }
        sleeper.delete().await?;
    }
    let sleeper = Machine::create(server).await?;
    for _ in 0..runs {
        measured.hibernate_little.push(sleeper.post("hibernate", json!({})).await?.1);
        measured.wake.push(sleeper.post("wake", json!({})).await?.1);
        measured.wake_exec.push(sleeper.sh("true").await?);
    }
    sleeper.delete().await
}

async fn pages(server: &Server, runs: usize) -> anyhow::Result<Vec<App>> {
    let mut measured = Vec::new();
    for app in apps::apps() {
        let name = app.name;
        match wakes(server, runs, app).await {
            Ok(app) => measured.push(app),
            // The others are worth telling.
            Err(error) => println!("{name} was not measured: {error:#}"),
        }
    }
    Ok(measured)
}

async fn wakes(server: &Server, runs: usize, mut app: App) -> anyhow::Result<App> {
    let sleeper = Machine::create(server).await?;
    let start = format!("setsid sh -c '{}' >/tmp/start 2>&1 &", app.start.replace('\'', "'\\''"));
    sleeper.sh(&start).await?;
    let mut looks = 0..INSTALL_LOOKS;
    while sleeper.sh(apps::ANSWERS).await.is_err() {
        looks.next().context("it does not answer")?;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    for _ in 0..WARM_REQUESTS {
        sleeper.page().await?;
    }
    for _ in 0..runs {
        app.warm.push(sleeper.page().await?);
        sleeper.post("hibernate", json!({})).await?;
        app.woken.push(sleeper.page().await?);
        warm_up(&sleeper).await?;
        sleeper.post("hibernate", json!({})).await?;
        sleeper.post("wake", json!({})).await?;
        app.first.push(sleeper.page().await?);
        warm_up(&sleeper).await?;
    }
    sleeper.delete().await?;
    Ok(app)
}

async fn warm_up(sleeper: &Machine<'_>) -> anyhow::Result<()> {
    for _ in 0..3 {
        sleeper.page().await?;
    }
    Ok(())
}

fn pause(answer: &Value) -> anyhow::Result<Duration> {
    Ok(Duration::from_millis(answer["pause_ms"].as_u64().context("no pause")?))
}
