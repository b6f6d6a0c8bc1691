//! The server under measurement: the real binary, in its own process.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// Begins the name of everything that the benchmark makes on the host.
pub(crate) const PREFIX: &str = "pb";
const API_KEY: &str = "pando_benchbenchbenchbenchbenchbenchbenchbenchbenchbenchbenchbench";
/// Half a second each: the first start bakes.
const READY_TRIES: usize = 1800;

pub(crate) struct Server {
    child: Child,
    port: u16,
    data: PathBuf,
    network: [String; 4],
    client: Client,
}

impl Server {
    pub(crate) async fn start(
        data: &Path,
        pool: Ipv4Addr,
        warm_slots: &str,
    ) -> anyhow::Result<Self> {
        Self::start_with(data, pool, &["--warm-slots", warm_slots]).await
    }

    /// Starts it with these options, too.
    pub(crate) async fn start_with(
        data: &Path,
        pool: Ipv4Addr,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = File::create(log_path(data)?)?;
        let network =
            ["--network-prefix", PREFIX, "--network-pool", &pool.to_string()].map(str::to_owned);
        let child = Command::new(pando()?)
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .args(&network)
            .args(more)
            .env("PANDO_API_KEY", API_KEY)
            .env("RUST_LOG", "info")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start pando")?;
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(120)).build()?;
        let mut server = Self { child, port, data: data.to_owned(), network, client };
        for _ in 0..READY_TRIES {
            let health = server.client.get(server.url("/healthz")).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(server);
            }
            ensure!(
                server.child.try_wait()?.is_none(),
                "pando ended; see {}",
                log_path(data)?.display()
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        anyhow::bail!("pando is not ready")
    }

    /// Lets the org have as many sandboxes, as fast, as the machine can make.
    pub(crate) fn raise_quota(&self) -> anyhow::Result<()> {
        const MOST: &str = "1000000";
        let flags = ["--sandboxes", "--vcpus", "--memory-mb", "--creates-per-minute"];
        let set = Command::new(pando()?)
            .args(["org", "quota", "--data"])
            .arg(&self.data)
            .args(flags.into_iter().flat_map(|flag| [flag, MOST]))
            .stdout(std::process::Stdio::null())
            .status()?;
        ensure!(set.success(), "pando org quota failed");
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(API_KEY)
    }

    /// Asks it for what succeeds; the answer.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> anyhow::Result<Value> {
        let answer = self.request(method, path).json(&body).send().await?;
        let (status, said) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {status} {said}");
        Ok(serde_json::from_str(&said)?)
    }

    /// The process ids of its machines' VMMs.
    pub(crate) fn machines(&self) -> anyhow::Result<Vec<u32>> {
        let node = std::fs::read(self.data.join("node.json"))?;
        let node: Value = serde_json::from_slice(&node)?;
        let owner = format!("pando:{}:", node["id"].as_str().context("no node id")?);
        let machines = pando_vm::sys::process::with_argument("qemu-system-x86_64", "-name")?;
        let ours = machines.into_iter().filter(|(_, name)| name.starts_with(&owner));
        Ok(ours.map(|(pid, _)| pid).collect())
    }

    /// The process id of one machine's VMM.
    pub(crate) fn machine_of(&self, sandbox: &str) -> anyhow::Result<u32> {
        let machines = pando_vm::sys::process::with_argument("qemu-system-x86_64", "-name")?;
        // The name comes before what else QEMU reads in that argument.
        let is_its = |name: &str| name.split(',').next().is_some_and(|it| it.ends_with(sandbox));
        let found = machines.into_iter().find(|(_, name)| is_its(name));
        found.map(|(pid, _)| pid).context("the sandbox has no VMM")
    }

    /// Where its sandboxes' files are.
    pub(crate) fn pool(&self) -> PathBuf {
        self.data.join("pool")
    }

    /// Stops it, takes down what it made, and returns its log.
    pub(crate) fn finish(mut self) -> anyhow::Result<String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.context("no pid")?, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        let down = Command::new(pando()?)
            .args(["teardown", "--keep-mount", "--data"])
            .arg(&self.data)
            .args(&self.network)
            .status()?;
        ensure!(down.success(), "pando teardown failed");
        Ok(std::fs::read_to_string(log_path(&self.data)?)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_path(data: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(data)?;
    Ok(data.join("bench.log"))
}

/// Removes all that a server of the benchmark may have left, and unmounts the pool.
pub(crate) fn take_down(data: &Path, pool: Ipv4Addr) -> anyhow::Result<()> {
    let down = Command::new(pando()?)
        .args(["teardown", "--network-prefix", PREFIX, "--network-pool", &pool.to_string()])
        .arg("--data")
        .arg(data)
        .status()?;
    ensure!(down.success(), "pando teardown failed");
    Ok(())
}

/// The server's program, beside this one.
fn pando() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("pando"))
}
