//! The running stand-in: its settings, its tasks, its repositories.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use uuid::Uuid;

use crate::git::GitRepository;
use crate::git::http::{self, GitRequest};
use crate::hook::{self, Delivery, Webhook};
use crate::record::{Exchange, Recording};
use crate::repo::Repo;
use crate::state::State;
use crate::{ForgeError, RepoName, rest, standin};

/// How long [`Forge::stop`] waits for requests that run.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// The file that says that a folder is the stand-in's to empty.
const MARKER: &str = ".pando-forge";

/// How a stand-in is to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its folder. Must be empty or an earlier stand-in's; emptied at start.
    pub root: PathBuf,
    /// Its address in everything it says of itself; by default where it listens.
    pub public_url: Option<String>,
    /// What a client must show to write: a bearer token for REST, a password for git.
    pub token: String,
    /// Where webhooks go. Without one, none are sent.
    pub webhook: Option<Webhook>,
    /// Whether exchanges are kept for the contract.
    pub recording: Recording,
}

impl Settings {
    /// A free port on loopback, no webhook, no recording.
    pub fn new(root: impl Into<PathBuf>, token: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            root: root.into(),
            public_url: None,
            token: token.into(),
            webhook: None,
            recording: Recording::Off,
        }
    }
}

/// A running stand-in. Dropped, it stops without waiting; [`Forge::stop`] waits.
#[derive(Debug)]
pub struct Forge {
    inner: Arc<Inner>,
    address: SocketAddr,
}

/// What requests and handles share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) recording: Recording,
    pub(crate) client: reqwest::Client,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    /// How many deliveries were made.
    pub(crate) delivered: watch::Sender<usize>,
    root: PathBuf,
    state: Mutex<State>,
}

impl Forge {
    /// Starts serving on the runtime of the caller.
    ///
    /// # Errors
    /// [`ForgeError::ForeignRoot`], or what the machine refuses.
    pub async fn start(settings: Settings) -> Result<Self, ForgeError> {
        let root = claim(&settings.root).map_err(|error| match error {
            Claim::Foreign => ForgeError::ForeignRoot(settings.root.clone()),
            Claim::Io(source) => {
                ForgeError::Io { doing: format!("use {}", settings.root.display()), source }
            }
        })?;
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(ForgeError::io(format!("listen on {}", settings.listen)))?;
        let address = listener.local_addr().map_err(ForgeError::io("learn the own address"))?;
        let url = settings.public_url.unwrap_or_else(|| format!("http://{address}"));
        let inner = Arc::new(Inner {
            url: url.trim_end_matches('/').to_owned(),
            token: settings.token,
            recording: settings.recording,
            client: hook::client().map_err(ForgeError::Client)?,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            delivered: watch::Sender::new(0),
            root,
            state: Mutex::new(State::sending_to(settings.webhook)),
        });
        let app = router(&inner).into_make_service_with_connect_info::<SocketAddr>();
        let stopping = inner.stopping.clone();
        inner.tasks.spawn(async move {
            let drained = stopping.clone();
            let server = axum::serve(listener, app)
                .with_graceful_shutdown(async move { stopping.cancelled().await });
            let deadline = async {
                drained.cancelled().await;
                tokio::time::sleep(DRAIN_LIMIT).await;
            };
            tokio::select! {
                result = server => if let Err(error) = result {
                    tracing::error!(%error, "the stand-in stopped serving");
                },
                () = deadline => tracing::warn!("requests still ran at the stop"),
            }
        });
        Ok(Self { inner, address })
    }

    /// Stops taking requests, and waits for those that run (at most five seconds).
    pub async fn stop(self) {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base of its git and REST addresses, with no slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Sends webhooks there from now on.
    pub fn set_webhook(&self, webhook: Webhook) {
        self.inner.state().webhook = Some(webhook);
    }

    /// Makes a repository with one commit of `files` on `branch`. Nothing is announced.
    ///
    /// # Errors
    /// A bad or taken name, a bad path, or a git that fails.
    pub async fn create_repo(
        &self,
        name: &str,
        files: &[(&str, &[u8])],
        branch: &str,
    ) -> Result<Repo, ForgeError> {
        Repo::create(&self.inner, name.parse()?, files, branch).await
    }

    /// Makes a fork of a repository, with its branches.
    ///
    /// # Errors
    /// No such parent, a bad or taken name, or a git that fails.
    pub async fn create_fork(&self, parent: &str, name: &str) -> Result<Repo, ForgeError> {
        Repo::fork(&self.inner, parent.parse()?, name.parse()?).await
    }

    /// A repository that exists.
    ///
    /// # Errors
    /// [`ForgeError::NoRepository`].
    pub fn repo(&self, name: &str) -> Result<Repo, ForgeError> {
        Repo::open(&self.inner, name.parse()?)
    }

    /// Every webhook sent so far, oldest first (the last thousand).
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.inner.state().deliveries.clone()
    }

    /// Waits until at least `count` webhooks were sent since the start, and returns all.
    /// A `git push` answers before its webhooks are out: this is how a test waits for them.
    /// Bound the wait by a timeout.
    pub async fn wait_for_deliveries(&self, count: usize) -> Vec<Delivery> {
        let mut delivered = self.inner.delivered.subscribe();
        // The sender lives in `inner`, which outlives this borrow.
        let _ = delivered.wait_for(|delivered| *delivered >= count).await;
        self.deliveries()
    }

    /// Sends a webhook again, with the same id and body.
    ///
    /// # Errors
    /// [`ForgeError::NoDelivery`] or [`ForgeError::NoWebhook`].
    pub async fn redeliver(&self, id: Uuid) -> Result<Delivery, ForgeError> {
        hook::redeliver(&self.inner, id).await
    }

    /// What was recorded so far, oldest first; empty without recording.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.inner.state().exchanges.clone()
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.inner.stopping.cancel();
    }
}

impl Inner {
    /// The rows. Held for moments, never across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Rows are whole between statements: a panic elsewhere leaves nothing half-made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The git repository of that name.
    pub(crate) fn repository(&self, name: &RepoName) -> Result<GitRepository, ForgeError> {
        Ok(self.state().repo(name)?.git.clone())
    }

    /// The lock on changes of a repository's branches; a stray one for an unknown name.
    pub(crate) fn turn(&self, name: &RepoName) -> Arc<tokio::sync::Mutex<()>> {
        self.state().repo(name).map(|row| Arc::clone(&row.turn)).unwrap_or_default()
    }

    /// Where the repository of that name goes.
    pub(crate) fn repository_path(&self, name: &RepoName) -> PathBuf {
        self.root.join(name.owner()).join(format!("{}.git", name.name()))
    }
}

fn router(inner: &Arc<Inner>) -> Router {
    let rest = rest::router(inner);
    let forge = Arc::clone(inner);
    let git_or_rest = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
        let (forge, rest) = (Arc::clone(&forge), rest.clone());
        async move {
            match GitRequest::of(request.method(), request.uri()) {
                Some(wanted) => http::serve(forge, peer, wanted, request).await,
                None => match rest.oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
            }
        }
    };
    Router::new().nest("/_standin", standin::router(inner)).fallback(git_or_rest)
}

enum Claim {
    Foreign,
    Io(std::io::Error),
}

impl From<std::io::Error> for Claim {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes the root this run's own and empty; returns where repositories go.
fn claim(root: &Path) -> Result<PathBuf, Claim> {
    std::fs::create_dir_all(root)?;
    let (marker, repositories) = (root.join(MARKER), root.join("repositories"));
    if !marker.exists() && std::fs::read_dir(root)?.next().is_some() {
        return Err(Claim::Foreign);
    }
    std::fs::write(&marker, "Made by pando-forge, and emptied by it at each start.\n")?;
    if repositories.exists() {
        std::fs::remove_dir_all(&repositories)?;
    }
    std::fs::create_dir(&repositories)?;
    // git wants the path whatever the working directory is.
    Ok(repositories.canonicalize()?)
}
