//! A served edge, apps behind it, and a client that shows every byte.

mod app;
mod client;
mod client2;
pub mod frames;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use pando_edge::{Backend, ConnectError, Edge, HostLabel, Limits, Resolution, serve};
use pando_types::SandboxId;
use pando_types::url::{PublicUrls, Scheme};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use app::{App, answering, bodiless, raw, trailing};
pub use client::Wire;
pub use client2::{Body2, Client2};

/// How long any one step of a test may take before the test is called stuck.
pub const STUCK: Duration = Duration::from_secs(60);

/// Waits for `step`, and fails the test rather than hang.
pub async fn within<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(STUCK, step).await.expect("the step is stuck")
}

/// What the fake backend knows; tests change it while the edge runs.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    labels: HashMap<HostLabel, Resolution>,
    ports: HashMap<(SandboxId, u16), Reach>,
    connects: usize,
    sleepers: HashMap<SandboxId, Arc<Sleeper>>,
    used: Vec<SandboxId>,
}

/// A sandbox that sleeps, or slept.
#[derive(Default)]
pub struct Sleeper {
    /// Those who asked for it to be woken while it slept.
    pub asked: AtomicUsize,
    /// Whether it sleeps, or how its waking ended.
    pub state: watch::Sender<Asleep>,
}

/// How a sandbox sleeps.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Asleep {
    #[default]
    Fast,
    Woken,
    Never,
}

/// How a port is reached.
#[derive(Clone, Copy)]
pub enum Reach {
    At(SocketAddr),
    Fails(fn() -> ConnectError),
}

impl World {
    pub fn resolve_to(&self, label: HostLabel, resolution: Resolution) {
        self.0.lock().unwrap().labels.insert(label, resolution);
    }

    pub fn reach(&self, sandbox: SandboxId, port: u16, reach: Reach) {
        self.0.lock().unwrap().ports.insert((sandbox, port), reach);
    }

    /// Puts a sandbox to sleep, until its `state` says something else.
    pub fn put_to_sleep(&self, sandbox: SandboxId) -> Arc<Sleeper> {
        let mut known = self.0.lock().unwrap();
        let sleeper = known.sleepers.entry(sandbox).or_default();
        sleeper.state.send_replace(Asleep::Fast);
        Arc::clone(sleeper)
    }

    /// How often it was noted that a sandbox was used.
    pub fn uses(&self, sandbox: SandboxId) -> usize {
        self.0.lock().unwrap().used.iter().filter(|used| **used == sandbox).count()
    }

    fn sleeper(&self, sandbox: SandboxId) -> Option<Arc<Sleeper>> {
        self.0.lock().unwrap().sleepers.get(&sandbox).cloned()
    }

    /// How many connections to apps were made or tried.
    pub fn connects(&self) -> usize {
        self.0.lock().unwrap().connects
    }
}

impl Backend for World {
    fn resolve(&self, label: &HostLabel) -> Resolution {
        let known = self.0.lock().unwrap();
        match (known.labels.get(label), label) {
            (Some(resolution), _) => *resolution,
            (None, HostLabel::App(_) | HostLabel::Domain(_)) => Resolution::UnknownApp,
            (None, HostLabel::Port { sandbox, port }) => {
                if known.ports.keys().any(|(known, _)| known == sandbox) {
                    Resolution::Found { sandbox: *sandbox, port: *port }
                } else {
                    Resolution::UnknownSandbox
                }
            }
        }
    }

    fn is_domain(&self, name: &str) -> bool {
        self.0.lock().unwrap().labels.contains_key(&HostLabel::Domain(name.to_owned()))
    }

    fn sleeps(&self, sandbox: SandboxId) -> bool {
        self.sleeper(sandbox).is_some_and(|sleeper| *sleeper.state.borrow() != Asleep::Woken)
    }

    fn used(&self, sandbox: SandboxId) {
        self.0.lock().unwrap().used.push(sandbox);
    }

    async fn wake(&self, sandbox: SandboxId) -> Result<(), ConnectError> {
        let Some(sleeper) = self.sleeper(sandbox) else { return Ok(()) };
        let mut state = sleeper.state.subscribe();
        if *state.borrow() != Asleep::Woken {
            sleeper.asked.fetch_add(1, Ordering::SeqCst);
        }
        let woken = state.wait_for(|state| *state != Asleep::Fast).await.unwrap();
        match *woken {
            Asleep::Woken => Ok(()),
            _ => Err(ConnectError::NotWoken(std::io::ErrorKind::OutOfMemory.into())),
        }
    }

    async fn connect(&self, sandbox: SandboxId, port: u16) -> Result<TcpStream, ConnectError> {
        if self.sleeps(sandbox) {
            return Err(ConnectError::Asleep);
        }
        let reach = {
            let mut known = self.0.lock().unwrap();
            known.connects += 1;
            known.ports.get(&(sandbox, port)).copied()
        };
        match reach {
            None => Err(ConnectError::Refused),
            Some(Reach::Fails(error)) => Err(error()),
            Some(Reach::At(address)) => TcpStream::connect(address).await.map_err(|error| {
                if error.kind() == std::io::ErrorKind::ConnectionRefused {
                    ConnectError::Refused
                } else {
                    ConnectError::Failed(error)
                }
            }),
        }
    }
}

/// An edge that serves on loopback until it is stopped or dropped.
pub struct Stand {
    pub world: World,
    pub edge: Edge<World>,
    pub address: SocketAddr,
    shutdown: CancellationToken,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl Stand {
    pub async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let urls =
            PublicUrls { scheme: Scheme::Https, suffix: "preview.localhost:7070".to_owned() };
        let world = World::default();
        let edge = Edge::new(world.clone(), &urls, limits).unwrap();
        let shutdown = CancellationToken::new();
        let api = tower::service_fn(api);
        let server = tokio::spawn(serve(listener, edge.clone(), api, shutdown.clone()));
        Self { world, edge, address, shutdown, server: Some(server) }
    }

    /// A sandbox whose port 3000 is `app`; returns its host.
    pub fn sandbox(&self, app: &App) -> (SandboxId, String) {
        let sandbox = SandboxId::new();
        self.world.reach(sandbox, 3000, Reach::At(app.address));
        (sandbox, format!("3000-{sandbox}.preview.localhost:7070"))
    }

    pub async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// Tells the server to stop.
    pub fn stop(&self) {
        self.shutdown.cancel();
    }

    /// Waits until it has stopped.
    pub async fn stopped(&mut self) {
        within(self.server.take().unwrap()).await.unwrap().unwrap();
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn api(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/never" {
        std::future::pending::<()>().await;
    }
    let text = format!("the API at {}", request.uri().path());
    Ok(Response::new(Full::new(Bytes::from(text))))
}
