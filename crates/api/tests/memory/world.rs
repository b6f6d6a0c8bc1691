//! A server without machines, in a network namespace of its own: two orgs with a key
//! and a sandbox each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use pando_api::key::NewKey;
use pando_api::{Api, AskRate, KeyUsage, Readiness, Repeats, Requests, router};
use pando_deploy::machine::NodeMachines;
use pando_deploy::{Deploy, DeployConfig, DnsServer, Secret};
use pando_guest_protocol::GUEST_ADDRESS;
use pando_node::control::{Sandboxes, Templates};
use pando_node::held::Budget;
use pando_node::{DataDir, Node, NodeConfig, Recipe, Report, Routes, WarmSlots};
use pando_store::{Insert, QuotaRow, Sealer, Store};
use pando_types::url::{PublicUrls, Scheme};
use pando_types::{BootId, OrgId, SystemClock};
use pando_vm::driver::null::Null;
use pando_vm::network::Network;
use rustix::thread::UnshareFlags;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::agent::{Agent, PATIENCE};

/// What webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "of a test";
/// A host that repositories may be at; nobody listens there but a test that wants to.
pub const GIT_HOST: &str = "127.0.0.1:9418";

pub struct World {
    pub orgs: [Org; 2],
    pub agent: Agent,
    pub budget: Budget,
    router: Router,
    rows: PathBuf,
    node: Node,
}

/// An org, its key and its sandbox.
pub struct Org {
    pub id: OrgId,
    router: Router,
    key: String,
    sandbox: String,
}

/// A data folder whose pool is unmounted however the test ends.
struct Folder(tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        // Not mounted, where the file system has reflinks.
        let _ = Command::new("umount").arg("-q").arg(self.0.path().join("pool")).output();
    }
}

impl World {
    /// Runs a test in a fresh world.
    pub fn run(test: impl AsyncFnOnce(&World) + Send + 'static) {
        // A namespace belongs to a thread and those it starts, and goes with the last.
        let thread = std::thread::spawn(|| {
            // SAFETY: no descriptor table is unshared, which is all that could
            // surprise the other threads.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            ip(&["link", "set", "lo", "up"]);
            ip(&["address", "add", &format!("{GUEST_ADDRESS}/32"), "dev", "lo"]);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let folder = Folder(tempfile::tempdir().unwrap());
                let world = Self::start(folder.0.path()).await;
                test(&world).await;
                world.node.tear_down().await.unwrap();
            });
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    async fn start(folder: &Path) -> Self {
        let agent = Agent::listen().await;
        let data = DataDir::open(folder).await.unwrap();
        let (rows, node_id) = (data.database(), data.node_id().unwrap());
        let (node, reports) = node(folder, data).await;
        let store = Store::open(&rows).await.unwrap();
        let urls = PublicUrls { scheme: Scheme::Http, suffix: "preview.localhost".into() };
        let clock = Arc::new(SystemClock);
        let sandboxes =
            Sandboxes::start(store.clone(), node.clone(), node_id, reports, urls.clone(), clock)
                .await
                .unwrap();
        let sealer = Sealer::open(&folder.join("secret.key")).unwrap();
        let machines =
            NodeMachines { sandboxes: sandboxes.clone(), node: node.clone(), store: store.clone() };
        let config = DeployConfig {
            webhook_secret: Some(Secret::new(WEBHOOK_SECRET)),
            allowed_git_hosts: vec![GIT_HOST.parse().unwrap()],
            dns: DnsServer::At("127.0.0.1:9".parse().unwrap()),
            ..DeployConfig::new(folder, urls.clone(), BootId::new())
        };
        let deploy = Deploy::start(
            config,
            store.clone(),
            sealer.clone(),
            Arc::new(machines),
            Routes::default(),
            CancellationToken::new(),
        );
        let budget = node.budget().clone();
        let orgs = [store.org_default().await.unwrap().id, another_org(&rows).await];
        let keys = [key(&store, orgs[0]).await, key(&store, orgs[1]).await];
        let templates = Templates::start(sandboxes.clone()).await.unwrap();
        let router = router(Api {
            sandboxes,
            templates,
            node: node.clone(),
            deploy: deploy.await.unwrap(),
            readiness: Readiness::default(),
            requests: Requests::default(),
            usage: KeyUsage::default(),
            asks: AskRate::default(),
            repeats: Repeats::new(store.clone(), sealer),
            urls,
            store,
        });
        let [first, second] = keys;
        let orgs =
            [Org::new(&router, orgs[0], first).await, Org::new(&router, orgs[1], second).await];
        Self { orgs, agent, budget, router, rows, node }
    }

    /// How many webhooks the rows hold, for one who opens the file anew.
    pub async fn count_deliveries(&self) -> i64 {
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", self.rows.display())).await;
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM delivery");
        query.fetch_one(&pool.unwrap()).await.unwrap()
    }

    /// Asks without a key; the status and what the answer holds.
    pub async fn ask(&self, request: Request<Body>) -> (u16, Value) {
        ask(&self.router, request).await
    }

    /// Waits until no more than this is taken, by anybody.
    pub async fn until_taken(&self, bytes: usize) {
        let waited = async {
            while self.budget.taken_bytes() > bytes {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.unwrap();
        assert_eq!(self.budget.taken_bytes(), bytes);
    }
}

impl Org {
    async fn new(router: &Router, id: OrgId, key: String) -> Self {
        let mut org = Self { id, router: router.clone(), key, sandbox: String::new() };
        let made = json(org.post("/v1/sandboxes", &json!({})).await).await;
        org.sandbox = made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        org
    }

    /// Runs a command; the answer's body is not read.
    pub async fn exec(&self, command: &Value) -> Response<Body> {
        self.post(&format!("/v1/sandboxes/{}/exec", self.sandbox), command).await
    }

    /// Lists a directory; the answer's body is not read.
    pub async fn list(&self, path: &str) -> Response<Body> {
        let uri = format!("/v1/sandboxes/{}/fs/dir?path={path}", self.sandbox);
        let request = Request::get(uri).header("x-api-key", &self.key).body(Body::empty());
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }

    /// A WebSocket for commands, over a listener of its own.
    pub async fn socket(&self) -> WebSocketStream<TcpStream> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let path = format!("ws://{address}/v1/sandboxes/{}/exec/ws", self.sandbox);
        let mut request = path.into_client_request().unwrap();
        request.headers_mut().insert("x-api-key", self.key.parse().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await.unwrap().0
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The path of a route of its sandbox.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/sandboxes/{}{rest}", self.sandbox)
    }

    /// Asks; the status and what the answer holds.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("x-api-key", &self.key);
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        ask(&self.router, request.body(body).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Response<Body> {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .body(Body::from(body.to_string()));
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }
}

async fn ask(router: &Router, request: Request<Body>) -> (u16, Value) {
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// What an answer says.
pub async fn json(answer: Response<Body>) -> Value {
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// What of this process is in memory.
pub fn resident_bytes() -> usize {
    status("VmRSS:")
}

/// The most of it that ever was.
pub fn resident_peak_bytes() -> usize {
    status("VmHWM:")
}

fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A node whose template is baked from files that are nothing.
async fn node(folder: &Path, data: DataDir) -> (Node, mpsc::Receiver<Report>) {
    let recipe = Recipe::base().unwrap();
    let template = data.template(recipe.name(), recipe.version());
    std::fs::create_dir_all(&template).unwrap();
    std::fs::write(template.join("rootfs.ext4"), "a disk").unwrap();
    let nothing = folder.join("nothing");
    std::fs::write(&nothing, "").unwrap();
    let config = NodeConfig {
        warm_slots: WarmSlots::Fixed(1),
        data,
        hypervisor: Arc::new(Null::default()),
        network: Network::null(),
        kernel: Some(nothing.clone()),
        agent: nothing,
        overcommit: pando_node::Overcommit::default(),
        progress: Arc::new(|_| {}),
        clock: Arc::new(SystemClock),
    };
    Node::start(config).await.unwrap()
}

/// An org beside the one that every server has. Nothing makes one yet, so this is SQL.
async fn another_org(rows: &Path) -> OrgId {
    let id = OrgId::new();
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", rows.display())).await.unwrap();
    sqlx::query("INSERT INTO org (id, name, created_ms) VALUES ($1, 'another', 0)")
        .bind(id.to_string())
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    id
}

/// A key that may ask as often as it likes.
async fn key(store: &Store, org: OrgId) -> String {
    let mut tx = store.begin().await.unwrap();
    let quota = QuotaRow { requests_per_second: Some(1_000_000), ..QuotaRow::default() };
    tx.org_set_quota(org, &quota).await.unwrap();
    tx.commit().await.unwrap();
    let key = NewKey::generate(org, "test", store.now()).unwrap();
    assert_eq!(store.key_insert(&key.row).await.unwrap(), Insert::Done);
    key.text
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
