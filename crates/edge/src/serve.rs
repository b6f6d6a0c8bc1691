//! The one listener: every connection, and for each request the choice between
//! the edge and the API.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use crate::backend::Backend;
use crate::body::{Body, BoxError};
use crate::edge::Edge;
use crate::host;
use crate::limits;
use crate::page::{self, Asked};
use crate::socket::{self, Lingering, Tunnelled};
use crate::trouble::Trouble;

/// A connection's place among [`limits::MAX_CONNECTIONS`]; free again when the
/// connection, and the tunnel that it may become, are over.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSlot {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Serves `listener` until `shutdown` is cancelled: requests for preview hosts by
/// `edge`, all others by `api`. Then nothing more is accepted, tunnels and event
/// streams of previews end at once, requests in flight have [`limits::DRAIN`]
/// (or what [`crate::Limits`] says) to end, and the rest is cut. Returns when every
/// task it started has ended; the edge serves nothing afterwards.
pub async fn serve<B, S, R>(
    listener: TcpListener,
    edge: Edge<B>,
    api: S,
    shutdown: CancellationToken,
) where
    B: Backend,
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let slots = Arc::new(Semaphore::new(limits::MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut sweep = interval(limits::POOL_SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);

    loop {
        let (stream, client, slot) = tokio::select! {
            () = shutdown.cancelled() => break,
            _ = sweep.tick() => {
                edge.shared.pool.sweep();
                continue;
            }
            accepted = accept(&listener, &slots) => accepted,
        };
        let (router, end) = (Router { edge: edge.clone(), api: api.clone() }, shutdown.clone());
        let (cut, connection) = (cut.clone(), connection(stream, client, slot, router, end));
        connections.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = cut.cancelled() => {}
            }
        });
    }

    drop(listener);
    edge.stop();
    connections.close();
    if timeout(edge.shared.limits.drain, connections.wait()).await.is_err() {
        tracing::info!(open = connections.len(), "cutting connections that did not end in time");
        cut.cancel();
        connections.wait().await;
    }
    edge.join().await;
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, ConnectionSlot) {
    loop {
        let permit = Arc::clone(slots).acquire_owned().await;
        match (permit, listener.accept().await) {
            (Ok(permit), Ok((stream, client))) => {
                return (stream, client, ConnectionSlot { _permit: Arc::new(permit) });
            }
            (_, Err(error)) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(limits::ACCEPT_BACKOFF).await;
            }
            // The semaphore is never closed.
            (Err(_), Ok(_)) => {}
        }
    }
}

/// Serves one connection to its end.
async fn connection<B, S, R>(
    stream: TcpStream,
    client: SocketAddr,
    slot: ConnectionSlot,
    router: Router<B, S>,
    shutdown: CancellationToken,
) where
    B: Backend,
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    if let Err(error) = socket::prepare(&stream) {
        tracing::debug!(%error, "the client left before its first request");
        return;
    }
    let tunnelled = Tunnelled::default();
    let io = TokioIo::new(Lingering::new(stream, tunnelled.clone()));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(slot.clone());
        let router = Router { edge: router.edge.clone(), api: router.api.clone() };
        let tunnelled = tunnelled.clone();
        async move {
            let response = router.answer(request, client).await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                tunnelled.set();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_READ_TIMEOUT)
        .max_buf_size(limits::MAX_BUFFER_BYTES)
        .max_header_size(limits::MAX_HEADER_BYTES)
        .max_headers(limits::MAX_HEADERS)
        .serve_connection(io, service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection broke off");
    }
}

/// Where a request goes.
struct Router<B, S> {
    edge: Edge<B>,
    api: S,
}

impl<B, S, R> Router<B, S>
where
    B: Backend,
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    async fn answer(self, request: Request<Incoming>, client: SocketAddr) -> Response<Body> {
        match host::authority(&request) {
            Ok(host) if self.edge.is_preview_host(host) => self.edge.handle(request, client).await,
            Ok(_) => match self.api.oneshot(request).await {
                Ok(response) => response.map(|body| body.map_err(Into::into).boxed_unsync()),
                Err(never) => match never {},
            },
            Err(error) => {
                let asked = Asked::by(request.method(), request.headers());
                page::answer(Trouble::Host(error), asked)
            }
        }
    }
}
