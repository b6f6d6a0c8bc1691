//! The edge itself: what its requests share, and where each of them goes.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use hyper::body::Incoming;
use pando_types::SandboxId;
use pando_types::url::{PublicUrls, Scheme};
use tokio_util::task::TaskTracker;

use crate::backend::{Backend, Resolution};
use crate::client::Client;
use crate::headers::Origin;
use crate::host::{self, HostError, HostLabel, Suffix, SuffixError};
use crate::lane::Lanes;
use crate::limits::Limits;
use crate::quiet::QuietAgents;
use crate::trouble::Trouble;
use crate::websocket;

/// The reverse proxy. Clones share one pool and one end.
pub struct Edge<B> {
    pub(crate) shared: Arc<Shared<B>>,
}

impl<B> Clone for Edge<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// A port of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub sandbox: SandboxId,
    pub port: u16,
}

/// What all requests share.
pub(crate) struct Shared<B> {
    pub backend: B,
    pub quiet: QuietAgents,
    pub limits: Limits,
    pub lanes: Lanes,
    /// Every connection to an app.
    pub connections: TaskTracker,
    /// Every tunnel.
    pub tunnels: TaskTracker,
    suffix: Suffix,
    scheme: Scheme,
}

impl<B: Backend> Edge<B> {
    /// An edge for the hosts under `urls.suffix`.
    ///
    /// # Errors
    /// [`SuffixError`] if the suffix is not made of DNS labels.
    pub fn new(backend: B, urls: &PublicUrls, limits: Limits) -> Result<Self, SuffixError> {
        Self::with_quiet(backend, urls, limits, QuietAgents::default())
    }

    /// The same, for which `quiet` are those who look without waking.
    ///
    /// # Errors
    /// As [`Edge::new`].
    pub fn with_quiet(
        backend: B,
        urls: &PublicUrls,
        limits: Limits,
        quiet: QuietAgents,
    ) -> Result<Self, SuffixError> {
        let shared = Shared {
            backend,
            quiet,
            limits,
            lanes: Lanes::new(&limits),
            connections: TaskTracker::new(),
            tunnels: TaskTracker::new(),
            suffix: Suffix::parse(&urls.suffix)?,
            scheme: urls.scheme,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Ends everything that leads into `sandbox`: kept connections close, tunnels
    /// and streams of events end, and answers under way break off. To be called
    /// when its machine has stopped, slept, been replaced under the same id or is
    /// gone, and after the backend has stopped connecting to it: what is connected
    /// later leads to whatever runs then. Calling it for a sandbox that the edge
    /// does not know, or twice, does nothing.
    pub fn forget(&self, sandbox: SandboxId) {
        self.shared.lanes.forget(sandbox);
    }

    /// Closes the way into `sandbox` for what comes from now on, which asks the backend
    /// to wake it first; so the backend must say before that it falls asleep. What is
    /// under way goes on, over the connections that it has.
    pub fn close(&self, sandbox: SandboxId) {
        self.shared.lanes.close(sandbox);
    }

    /// After [`Edge::close`]: returns when all that was under way then has ended. What
    /// has not after `grace` is cut.
    pub async fn clear(&self, sandbox: SandboxId, grace: Duration) {
        self.shared.lanes.clear(sandbox, grace).await;
    }

    /// How many requests, streams and tunnels into `sandbox` are under way, those that
    /// wait for it to wake among them.
    #[must_use]
    pub fn under_way(&self, sandbox: SandboxId) -> usize {
        self.shared.lanes.under_way(sandbox)
    }

    /// Whether anything is under way into `sandbox`, or was since this was last asked,
    /// those that only look left out.
    #[must_use]
    pub fn was_used(&self, sandbox: SandboxId) -> bool {
        self.shared.lanes.was_used(sandbox)
    }

    /// Ends tunnels and streams of events, which would never end by themselves.
    pub(crate) fn end_streams(&self) {
        self.shared.lanes.end_streams();
    }

    /// Ends and joins whatever is still connected to an app.
    pub(crate) async fn join(&self) {
        self.shared.lanes.end_all();
        self.shared.tunnels.close();
        self.shared.tunnels.wait().await;
        self.shared.connections.close();
        self.shared.connections.wait().await;
    }
}

impl<B: Backend> Shared<B> {
    /// What `host` names; `None` where it is the API's.
    ///
    /// # Errors
    /// [`Trouble::UnknownHost`] for what stands under the suffix and names nothing.
    pub(crate) fn named(&self, host: &str) -> Option<Result<HostLabel, Trouble>> {
        if self.suffix.holds(host) {
            return Some(self.suffix.label(host).ok_or(Trouble::UnknownHost));
        }
        let name = host::domain(host).filter(|name| self.backend.is_domain(name))?;
        Some(Ok(HostLabel::Domain(name)))
    }

    /// Where `request`, whose host is `host` and names `label`, goes, and what its app is told of
    /// `client`.
    ///
    /// # Errors
    /// What stands in the way.
    pub(crate) fn direct(
        &self,
        request: &Request<Incoming>,
        host: &str,
        label: &HostLabel,
        client: &Client,
    ) -> Result<(Target, Origin), Trouble> {
        if request.method() == Method::CONNECT {
            match websocket::protocol_of(request) {
                Some("websocket") => {}
                Some(_) => return Err(Trouble::Protocol),
                None => return Err(Trouble::Connect),
            }
        }
        let origin = Origin {
            client: client.address_line.clone(),
            host: host::line(request, host).ok_or(Trouble::Host(HostError::Malformed))?,
            scheme: self.scheme,
        };
        match self.backend.resolve(label) {
            Resolution::Found { sandbox, port } => Ok((Target { sandbox, port }, origin)),
            Resolution::UnknownSandbox => Err(Trouble::UnknownSandbox),
            Resolution::Gone => Err(Trouble::Gone),
            Resolution::UnknownApp => Err(Trouble::UnknownApp),
            Resolution::NotLive => Err(Trouble::NotLive),
        }
    }
}
