//! A forge with a repository, deployments without VMs, and what tests ask of them.

use std::time::Duration;

use futures_util::StreamExt;
use pando_deploy::forge::GitHub;
use pando_deploy::{Deploy, DeployConfig, DnsServer, Secret, WebhookRequest};
use pando_forge::{Forge, Recording, Repo, Settings, sign};
use pando_node::Routes;
use pando_node::held::Budget;
use pando_store::{Listed, Sealer, Store};
use pando_types::app::{App, CreateApp, CreateDeployment, Delivery, Deployment, DeploymentStatus};
use pando_types::page::PageRequest;
use pando_types::route::RouteTarget;
use pando_types::url::{PublicUrls, Scheme};
use pando_types::{AppId, BootId, Clock, DeploymentId, OrgId, PublicError, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio_util::sync::CancellationToken;

use crate::dns::NameServer;
use crate::machine::LocalMachines;

pub const SECRET: &str = "webhook secret";
/// How long anything here may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time, and how far a test has gone ahead of it.
#[derive(Default)]
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let ahead_ms = self.0.load(Ordering::SeqCst);
        Timestamp::from_millis(SystemClock.now().as_millis() + ahead_ms)
    }
}

pub struct World {
    clock: Arc<TestClock>,
    folder: tempfile::TempDir,
    pub forge: Forge,
    pub repo: Repo,
    pub machines: LocalMachines,
    pub store: Store,
    pub routes: Routes,
    pub dns: NameServer,
    pub deploy: Deploy,
    pub org: OrgId,
    shutdown: CancellationToken,
    /// How often pull requests are asked after, from the next start on.
    pub pull_requests_every: Duration,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().join("forge"), "forge token");
        settings.recording = Recording::On;
        let forge = Forge::start(settings).await.unwrap();
        let repo = forge.create_repo("acme/shop", &[("index.html", b"one")], "main").await.unwrap();
        let machines = LocalMachines::new(&folder.path().join("machines"));
        let clock = Arc::<TestClock>::default();
        let path = folder.path().join("pando.db");
        let store = Store::open_with_clock(&path, clock.clone()).await.unwrap();
        let org = store.org_default().await.unwrap().id;
        let dns = NameServer::start().await;
        // No test lasts so long.
        let pull_requests_every = PATIENCE * 60;
        let (deploy, routes, shutdown) =
            start(&folder, &forge, &store, &machines, &dns, pull_requests_every).await;
        Self {
            clock,
            folder,
            forge,
            repo,
            machines,
            store,
            routes,
            dns,
            deploy,
            org,
            shutdown,
            pull_requests_every,
        }
    }

    /// Goes ahead in time.
    pub fn pass(&self, span: Duration) {
        let ahead_ms = i64::try_from(span.as_millis()).unwrap();
        self.clock.0.fetch_add(ahead_ms, Ordering::SeqCst);
    }

    /// Stops the server.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.deploy.clone().join().await;
    }

    /// Stops the server and starts it anew, on the same rows and machines.
    pub async fn restart(&mut self) {
        self.stop().await;
        let (folder, every) = (&self.folder, self.pull_requests_every);
        let (deploy, routes, shutdown) =
            start(folder, &self.forge, &self.store, &self.machines, &self.dns, every).await;
        (self.deploy, self.routes, self.shutdown) = (deploy, routes, shutdown);
    }

    /// The same, with another forge in the old one's place that has a repository of that
    /// name and nothing else.
    pub async fn restart_with_a_new_forge(&mut self) {
        self.stop().await;
        let settings = Settings::new(self.folder.path().join("another forge"), "forge token");
        let forge = Forge::start(settings).await.unwrap();
        self.repo =
            forge.create_repo("acme/shop", &[("index.html", b"one")], "main").await.unwrap();
        std::mem::replace(&mut self.forge, forge).stop().await;
        self.restart().await;
    }

    pub async fn finish(self) {
        self.shutdown.cancel();
        self.deploy.join().await;
        self.forge.stop().await;
    }

    /// An app of the repository, changed by `change`.
    pub async fn app(&self, change: impl FnOnce(&mut CreateApp)) -> App {
        let mut request = CreateApp {
            name: "shop".into(),
            git_url: self.repo.clone_url(),
            ..CreateApp::default()
        };
        change(&mut request);
        self.deploy.app_create(AppId::new(), self.org, request).await.unwrap()
    }

    pub async fn apps(&self) -> Vec<App> {
        let page = PageRequest::default();
        self.deploy.app_list(self.org, Listed::All, page).await.unwrap().items
    }

    pub async fn previews(&self) -> Vec<App> {
        let page = PageRequest::default();
        self.deploy.app_list(self.org, Listed::Previews, page).await.unwrap().items
    }

    /// An app's deployments, newest first.
    pub async fn deployments(&self, app: AppId) -> Vec<Deployment> {
        let page = PageRequest::default();
        self.deploy.deployment_list(self.org, app, page).await.unwrap().items
    }

    /// Asks for a deployment over the API.
    pub async fn new_deployment(
        &self,
        app: AppId,
        request: CreateDeployment,
    ) -> Result<Deployment, PublicError> {
        self.deploy.deployment_create(DeploymentId::new(), self.org, app, request).await
    }

    pub fn target(&self, app: &App) -> Option<RouteTarget> {
        let label = app.url.strip_prefix("http://").unwrap().split('.').next().unwrap();
        self.routes.resolve(label)
    }

    /// The page that an app's host shows now.
    pub async fn shows(&self, app: &App) -> String {
        let sandbox =
            self.target(app).and_then(|target| target.sandbox).expect("it leads somewhere");
        String::from_utf8(self.machines.read(sandbox, "app/index.html").unwrap()).unwrap()
    }

    /// The newest deployment of an app, once it ended.
    pub async fn ended(&self, app: AppId) -> Deployment {
        let id = self.deployments(app).await[0].id;
        self.ended_of(app, id).await
    }

    /// A deployment with its log, once it ended; waits by following the log.
    pub async fn ended_of(&self, app: AppId, id: DeploymentId) -> Deployment {
        let follow = async {
            let mut lines = self.deploy.log_follow(self.org, app, id).await.unwrap();
            while lines.next().await.is_some() {}
        };
        tokio::time::timeout(PATIENCE, follow).await.expect("the log ends");
        let account = Budget::new(1 << 30).account(Some(self.org));
        let got = self.deploy.deployment_get(self.org, app, id, &account).await;
        let (deployment, log) = got.unwrap();
        assert!(deployment.status.is_end(), "the log ends when the deployment has");
        let build_logs = Some(String::from_utf8(log.to_vec()).unwrap());
        Deployment { build_logs, ..deployment }
    }

    /// How many mirrors of repositories there are.
    pub fn mirrors(&self) -> usize {
        let folder = std::fs::read_dir(self.folder.path().join("mirrors")).unwrap();
        let is_mirror = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".git");
        folder.map(|entry| entry.unwrap().file_name()).filter(is_mirror).count()
    }

    /// Waits until a deployment says this.
    pub async fn says(&self, app: AppId, id: DeploymentId, text: &str) {
        let follow = async {
            let mut lines = self.deploy.log_follow(self.org, app, id).await.unwrap();
            while let Some(line) = lines.next().await {
                if line.unwrap().text.contains(text) {
                    return;
                }
            }
            panic!("it ended without saying {text}");
        };
        tokio::time::timeout(PATIENCE, follow).await.expect("it says so");
    }

    /// Waits for a condition that other tasks bring about.
    pub async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let poll = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "never: {what}");
    }

    pub async fn webhook(&self, event: &str, payload: &Value) -> Delivery {
        let id = BootId::new().to_string();
        self.deliver(event, &id, payload).await.unwrap()
    }

    pub async fn deliver(
        &self,
        event: &str,
        id: &str,
        payload: &Value,
    ) -> Result<Delivery, PublicError> {
        let body = payload.to_string();
        let signature = sign(SECRET, body.as_bytes());
        let request = WebhookRequest {
            event: Some(event),
            delivery: Some(id),
            signature: Some(&signature),
            body: body.as_bytes(),
        };
        self.deploy.webhook(request).await
    }

    /// The text of the pull request's one comment; empty where there is none.
    pub fn comment(&self, number: u64) -> String {
        let comments = self.repo.comments(number).unwrap();
        assert!(comments.len() <= 1, "one comment, edited in place");
        comments.into_iter().next().map(|comment| comment.body).unwrap_or_default()
    }

    /// What was said at a commit, in order.
    pub fn states(&self, sha: &str) -> Vec<String> {
        let mut statuses = self.repo.statuses(sha).unwrap();
        statuses.sort_by_key(|status| status.id);
        statuses.into_iter().map(|status| status.state).collect()
    }

    pub fn repository(&self) -> Value {
        let html = format!("{}/acme/shop", self.forge.url());
        json!({ "full_name": "acme/shop", "clone_url": format!("{html}.git"), "html_url": html })
    }

    pub fn push(&self, branch: &str, after: &str) -> Value {
        json!({ "ref": format!("refs/heads/{branch}"), "after": after, "repository": self.repository() })
    }

    pub fn pull(&self, action: &str, number: u64, sha: &str) -> Value {
        let state = if action == "closed" { "closed" } else { "open" };
        json!({
            "action": action, "number": number, "repository": self.repository(),
            "pull_request": {
                "state": state, "draft": false,
                "head": { "ref": "blue", "sha": sha, "repo": { "full_name": "acme/shop" } },
            },
        })
    }
}

pub fn statuses(deployments: &[Deployment]) -> Vec<DeploymentStatus> {
    deployments.iter().map(|deployment| deployment.status).collect()
}

async fn start(
    folder: &tempfile::TempDir,
    forge: &Forge,
    store: &Store,
    machines: &LocalMachines,
    dns: &NameServer,
    pull_requests_every: Duration,
) -> (Deploy, Routes, CancellationToken) {
    let urls = PublicUrls { scheme: Scheme::Http, suffix: "preview.test".into() };
    let config = DeployConfig {
        forge: Some(Arc::new(GitHub::new(forge.url(), Secret::new("forge token")).unwrap())),
        webhook_secret: Some(Secret::new(SECRET)),
        allowed_git_hosts: vec![forge.address().to_string().parse().unwrap()],
        settle_beside: Duration::from_secs(1),
        drain: Duration::from_millis(50),
        pull_requests_every,
        dns: DnsServer::At(dns.address),
        ..DeployConfig::new(folder.path(), urls, BootId::new())
    };
    let sealer = Sealer::open(&folder.path().join("secret.key")).unwrap();
    let (routes, shutdown) = (Routes::default(), CancellationToken::new());
    let machines = Arc::new(machines.clone());
    let deploy =
        Deploy::start(config, store.clone(), sealer, machines, routes.clone(), shutdown.clone());
    (deploy.await.unwrap(), routes, shutdown)
}
