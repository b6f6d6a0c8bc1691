//! The edge's public face: one request in, one response out.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use pando_types::SandboxId;
use pando_types::url::{PublicUrls, Scheme};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::{Backend, Resolution};
use crate::body::Body;
use crate::headers::{self, Origin};
use crate::host::{self, Suffix, SuffixError};
use crate::limits::Limits;
use crate::page::{self, Asked};
use crate::pool::{Pool, Target};
use crate::trouble::Trouble;

/// The reverse proxy. Clones share one pool and one end.
pub struct Edge<B> {
    pub(crate) shared: Arc<Shared<B>>,
}

impl<B> Clone for Edge<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// What all requests share.
pub(crate) struct Shared<B> {
    pub backend: B,
    pub limits: Limits,
    pub pool: Arc<Pool>,
    /// Every connection to an app and every tunnel.
    pub tasks: TaskTracker,
    /// Cancelled when the server begins to stop: ends what has no end of its own.
    pub stopping: CancellationToken,
    /// Cancelled when all requests are over: ends what is left of `tasks`.
    pub stopped: CancellationToken,
    suffix: Suffix,
    scheme: Scheme,
}

impl<B: Backend> Edge<B> {
    /// An edge for the hosts under `urls.suffix`.
    ///
    /// # Errors
    /// [`SuffixError`] if the suffix is not made of DNS labels.
    pub fn new(backend: B, urls: &PublicUrls, limits: Limits) -> Result<Self, SuffixError> {
        let shared = Shared {
            backend,
            limits,
            pool: Pool::new(limits.pool_idle),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            suffix: Suffix::parse(&urls.suffix)?,
            scheme: urls.scheme,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether a request for `host` is the edge's.
    #[must_use]
    pub fn is_preview_host(&self, host: &str) -> bool {
        self.shared.suffix.holds(host)
    }

    /// Answers one request from `client`: with the app's answer, or with the
    /// edge's own where there is none.
    pub async fn handle(&self, request: Request<Incoming>, client: SocketAddr) -> Response<Body> {
        let asked = Asked::by(request.method(), request.headers());
        match self.shared.answer(request, client).await {
            Ok(mut response) => {
                headers::forbid_indexing(response.headers_mut());
                response
            }
            Err(trouble) => {
                tracing::debug!(?trouble, "a request was not forwarded");
                page::answer(trouble, asked)
            }
        }
    }

    /// Closes the kept connections to `sandbox`, and keeps none of those in use:
    /// to be called when its machine has stopped, been replaced or is gone.
    pub fn forget(&self, sandbox: SandboxId) {
        self.shared.pool.forget(sandbox);
    }

    /// Ends tunnels and streams of events, which would never end by themselves.
    pub(crate) fn stop(&self) {
        self.shared.stopping.cancel();
        self.shared.pool.clear();
    }

    /// Ends and joins whatever is still connected to an app.
    pub(crate) async fn join(&self) {
        self.shared.stopped.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl<B: Backend> Shared<B> {
    async fn answer(
        &self,
        request: Request<Incoming>,
        client: SocketAddr,
    ) -> Result<Response<Body>, Trouble> {
        let host = host::authority(&request).map_err(Trouble::Host)?;
        let label = self.suffix.label(host).ok_or(Trouble::UnknownHost)?;
        if request.method() == Method::CONNECT {
            return Err(Trouble::Connect);
        }
        if headers::has_foreign_coding(request.headers()) {
            return Err(Trouble::Coding);
        }
        let origin = Origin {
            client: client.ip(),
            host: host.parse().map_err(|_| Trouble::Host(host::HostError::Malformed))?,
            scheme: self.scheme,
        };
        let target = match self.backend.resolve(&label) {
            Resolution::Found { sandbox, port } => Target { sandbox, port },
            Resolution::UnknownSandbox => return Err(Trouble::UnknownSandbox),
            Resolution::Gone => return Err(Trouble::Gone),
            Resolution::UnknownApp => return Err(Trouble::UnknownApp),
            Resolution::NotLive => return Err(Trouble::NotLive),
        };
        self.forward(request, target, &origin).await
    }
}
