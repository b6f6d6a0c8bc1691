//! The edge under measurement: the real one, in a process of its own, with a
//! backend that knows one app.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::{Command, Stdio};

use anyhow::Context;
use http::{Request, Response, StatusCode};
use pando_edge::{Backend, ConnectError, Edge, HostLabel, Limits, Resolution};
use pando_types::SandboxId;
use pando_types::url::{PublicUrls, Scheme};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Process;

/// The host that leads to the app.
pub(super) const HOST: &str = "app.preview.localhost";

/// One app, which is reached directly.
struct OneApp {
    sandbox: SandboxId,
    address: SocketAddr,
}

impl Backend for OneApp {
    fn resolve(&self, _label: &HostLabel) -> Resolution {
        Resolution::Found { sandbox: self.sandbox, port: self.address.port() }
    }

    fn is_domain(&self, _name: &str) -> bool {
        false
    }

    fn sleeps(&self, _sandbox: SandboxId) -> bool {
        false
    }

    fn used(&self, _sandbox: SandboxId) {}

    async fn wake(&self, _sandbox: SandboxId) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn connect(&self, _sandbox: SandboxId, _port: u16) -> Result<TcpStream, ConnectError> {
        TcpStream::connect(self.address).await.map_err(ConnectError::Failed)
    }
}

/// Starts this program anew, as the edge.
pub(super) fn start(address: SocketAddr, upstream: SocketAddr) -> anyhow::Result<Process> {
    let child = Command::new(std::env::current_exe()?)
        .args(["serve-edge", &address.to_string(), &upstream.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start the edge")?;
    Ok(Process(child))
}

/// Serves until SIGTERM. Shares are counted as ever, and set so that no load uses
/// them up.
pub(crate) async fn serve(address: SocketAddr, upstream: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let urls = PublicUrls { scheme: Scheme::Http, suffix: "preview.localhost".to_owned() };
    let limits = Limits {
        app_requests_per_sec: NonZeroU32::MAX,
        app_request_burst: NonZeroU32::MAX,
        ..Limits::default()
    };
    let app = OneApp { sandbox: SandboxId::new(), address: upstream };
    let edge = Edge::new(app, &urls, limits)?;
    let api = tower::service_fn(|_request: Request<hyper::body::Incoming>| async {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        Ok::<_, Infallible>(response.map(http_body_util::Full::<bytes::Bytes>::from))
    });
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(pando_edge::serve(listener, edge, api, shutdown.clone()));
    signal(SignalKind::terminate())?.recv().await;
    shutdown.cancel();
    Ok(server.await??)
}
