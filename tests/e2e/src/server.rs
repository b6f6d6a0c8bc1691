//! The real `pando serve`, for one test.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use pando_vm::sys::fault::{self, Fault};
use reqwest::header::HOST;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::host::{leftovers, pool, prefix};
use crate::sandbox::Sandbox;

/// The key of every test's server.
const API_KEY: &str = "pando_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// How long the first start may take: it bakes the template.
const READY_LIMIT: Duration = Duration::from_secs(900);

/// How often it is looked whether a server has ended: for 30 s.
const CRASH_TRIES: usize = 600;
/// How long what is torn down may still be seen: whatever made a mount namespace of
/// its own meanwhile (a bake of another server, say) holds a copy of our mounts, and
/// with it their loop device, until it ends.
const OTHERS_HOLD: Duration = Duration::from_secs(120);

/// What a test wants of its server beside the ordinary.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// More arguments of `pando serve`.
    pub arguments: Vec<String>,
    /// More of its environment.
    pub environment: Vec<(String, String)>,
    /// The port to listen on; a free one when absent.
    pub port: Option<u16>,
    /// Its data folder; that of all tests when absent.
    pub data: Option<PathBuf>,
}

/// A running server. Dropped, it is stopped, and whatever it ran is torn down.
pub struct Server {
    child: Option<Child>,
    fault: Option<Fault>,
    holds: bool,
    torn_down: bool,
    options: Options,
    port: u16,
    data: PathBuf,
    client: Client,
}

/// The data folder of all tests.
#[must_use]
pub fn test_data() -> PathBuf {
    std::env::var_os("PANDO_TEST_DATA").map_or("/var/tmp/pando-test".into(), PathBuf::from)
}

impl Server {
    /// Starts the server and waits until creates are possible.
    ///
    /// # Errors
    /// When it does not come up; the error holds the end of its log.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let data = options.data.clone().unwrap_or_else(test_data);
        std::fs::create_dir_all(&data)?;
        let port = match options.port {
            Some(port) => port,
            None => free_port()?,
        };
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(900)).build()?;
        let mut server = Self {
            child: None,
            fault: None,
            holds: false,
            torn_down: false,
            options,
            port,
            data,
            client,
        };
        server.launch().await?;
        server.forget_volumes().await?;
        Ok(server)
    }

    /// Removes the volumes of earlier runs: they outlive their sandboxes, and a teardown.
    async fn forget_volumes(&self) -> anyhow::Result<()> {
        let list = self.request(Method::GET, "/v1/volumes").send().await?.error_for_status()?;
        let list: Value = list.json().await?;
        for volume in list["items"].as_array().context("no list")? {
            let path = format!("/v1/volumes/{}", volume["name"].as_str().context("no name")?);
            self.request(Method::DELETE, &path).send().await?.error_for_status()?;
        }
        Ok(())
    }

    /// Where the process that is launched next is to end as a crash would.
    pub fn set_fault(&mut self, fault: Option<Fault>) {
        (self.fault, self.holds) = (fault, false);
    }

    /// The same, but what is launched next does not end there: it waits in the middle of
    /// it for [`Server::let_go`].
    pub fn set_hold(&mut self, fault: Fault) {
        (self.fault, self.holds) = (Some(fault), true);
    }

    /// Waits until the process waits at its fault.
    ///
    /// # Errors
    /// What `other` says, when that was first.
    pub async fn held<T>(&self, other: impl Future<Output = T>) -> Result<(), T> {
        let path = self.hold_path();
        tokio::select! {
            () = async {
                while !path.exists() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            } => Ok(()),
            other = other => Err(other),
        }
    }

    /// Lets the process go on.
    ///
    /// # Errors
    /// When it did not wait.
    pub fn let_go(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.hold_path())?)
    }

    fn hold_path(&self) -> PathBuf {
        self.data.join("held")
    }

    /// Waits until the process ended by itself, at its fault.
    ///
    /// # Errors
    /// When it does not.
    pub async fn crashed(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        for _ in 0..CRASH_TRIES {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.child = Some(child);
        bail!("pando runs on: {}", self.log_tail())
    }

    /// Starts the process again after [`Server::terminate`] or [`Server::kill`].
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn launch(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "it runs already");
        if self.holds {
            let _ = std::fs::remove_file(self.hold_path());
        }
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let child = Command::new(program("pando"))
            .arg("serve")
            .args(self.host_arguments())
            .arg("--listen")
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--suffix")
            .arg(self.suffix())
            .args(&self.options.arguments)
            .env("PANDO_API_KEY", API_KEY)
            .env("RUST_LOG", "info,pando=debug")
            .envs(self.options.environment.iter().cloned())
            .envs(self.fault.map(|fault| (fault::VARIABLE, fault.name())))
            .envs(self.holds.then(|| (fault::HOLD_VARIABLE, self.hold_path())))
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start pando; `make build` makes it")?;
        self.child = Some(child);
        let begun = Instant::now();
        while begun.elapsed() < READY_LIMIT {
            if let Ok(answer) = self.client.get(self.url("/healthz")).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                self.child = None;
                bail!("pando ended ({status}): {}", self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("pando is not ready: {}", self.log_tail())
    }

    fn host_arguments(&self) -> Vec<String> {
        let data = self.data.display().to_string();
        let (prefix, pool) = (prefix(), pool().to_string());
        ["--data", &data, "--network-prefix", &prefix, "--network-pool", &pool]
            .map(str::to_owned)
            .into()
    }

    fn log_path(&self) -> PathBuf {
        self.data.join("serve.log")
    }

    /// The end of the server's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The preview suffix, with the port.
    #[must_use]
    pub fn suffix(&self) -> String {
        format!("preview.localhost:{}", self.port)
    }

    /// The API key.
    #[must_use]
    pub fn api_key(&self) -> &'static str {
        API_KEY
    }

    /// A URL of the API.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A request to the API, with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(API_KEY)
    }

    /// A request to the edge under this host, whatever DNS says of it.
    pub fn edge(&self, method: Method, host: &str, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).header(HOST, host)
    }

    /// The HTTP client itself, without a key.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Creates a sandbox of the default size with these fields added to the request.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn sandbox(&self, fields: Value) -> anyhow::Result<Sandbox<'_>> {
        let mut body = json!({ "template": "base", "ttl_seconds": 1800 });
        if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
            body.extend(fields.clone());
        }
        let answer = self.request(Method::POST, "/v1/sandboxes").json(&body).send().await?;
        let status = answer.status();
        let made: Value = answer.json().await?;
        ensure!(status.as_u16() == 201, "create answered {status}: {made}\n{}", self.log_tail());
        let id = made["id"].as_str().context("no id")?.to_owned();
        Ok(Sandbox { server: self, id, made })
    }

    /// The sandboxes that the API lists: id and status.
    ///
    /// # Errors
    /// When it does not answer with a list.
    pub async fn sandboxes(&self) -> anyhow::Result<Vec<(String, String)>> {
        let answer: Value = self.request(Method::GET, "/v1/sandboxes").send().await?.json().await?;
        let items = answer.get("items").unwrap_or(&answer).as_array().context("no list")?;
        let field = |item: &Value, name: &str| item[name].as_str().map(str::to_owned);
        Ok(items
            .iter()
            .filter_map(|item| Some((field(item, "id")?, field(item, "status")?)))
            .collect())
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Asks the server to stop, and waits until it did.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.context("no pid")?, rustix::process::Signal::TERM)?;
        let status = child.wait()?;
        ensure!(status.success(), "pando ended with {status}: {}", self.log_tail());
        Ok(())
    }

    /// Kills the server where it stands.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Stops the server, removes what it ran, and proves that nothing is left.
    ///
    /// # Errors
    /// When something is left.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.terminate()?;
        self.tear_down()?;
        self.torn_down = true;
        let mut left = leftovers(&self.data)?;
        let begun = Instant::now();
        while !left.is_empty() && begun.elapsed() < OTHERS_HOLD {
            std::thread::sleep(Duration::from_secs(1));
            left = leftovers(&self.data)?;
        }
        ensure!(left.is_empty(), "left over: {left:#?}");
        Ok(())
    }

    fn tear_down(&self) -> anyhow::Result<()> {
        let output = Command::new(program("pando"))
            .arg("teardown")
            .args(self.host_arguments())
            .output()
            .context("cannot run pando teardown")?;
        ensure!(output.status.success(), "teardown: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// A port that stays free while the server is down: none of those that the kernel
/// gives to connections on their way out (`ip_local_port_range`, from 32768 on).
fn free_port() -> anyhow::Result<u16> {
    let process = u16::try_from(std::process::id() % 12_000)?;
    let ports = (0..12_000).map(|step| 20_000 + (process + step) % 12_000);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(free).context("no port is free")
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.torn_down {
            // A test failed: clean up all the same, and say where the log is.
            eprintln!("the server's log: {}", self.log_path().display());
            let _ = self.kill();
            if let Err(error) = self.tear_down() {
                eprintln!("{error:#}");
            }
        }
    }
}

/// A program of this repository's release build.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("PANDO_BIN_DIR")
        .map_or_else(|| root.join("target/release"), PathBuf::from);
    target.join(name)
}
