//! The one listener: accepts connections, and sees to it that all of them end.

mod api;
mod connection;
mod router;
mod watch;
mod workers;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::backend::Backend;
use crate::body::BoxError;
use crate::edge::Edge;
use crate::end::End;
use crate::limits;
use api::Api;
use connection::Connections;
use router::Router;
use workers::{Accepted, Workers};

/// Serves `listener` until `shutdown` is cancelled: requests for preview hosts by
/// `edge`, all others by `api`, over HTTP/1.1 and HTTP/2.
///
/// Then nothing more is accepted, and clients are told: an HTTP/1.1 connection
/// closes after the answer in flight, an HTTP/2 one says that it takes no more
/// requests. Tunnels and streams of events have [`limits::TUNNEL_DRAIN`] (or what
/// [`crate::Limits`] says), requests in flight [`limits::DRAIN`]; the rest is cut.
/// Returns when everything it started has ended; the edge serves nothing afterwards.
///
/// Connections are served by threads of their own, one for each processor; `api`
/// runs in the runtime that called this.
///
/// # Errors
/// The system has no thread or event loop left; nothing was served then.
pub async fn serve<B, S, R>(
    listener: TcpListener,
    edge: Edge<B>,
    api: S,
    shutdown: CancellationToken,
) -> io::Result<()>
where
    B: Backend,
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let slots = Arc::new(Semaphore::new(limits::MAX_CONNECTIONS));
    let connections = Connections {
        tasks: TaskTracker::new(),
        shutdown: End::default(),
        cut: End::default(),
        limits: edge.shared.limits,
    };
    let workers = {
        let (edge, connections) = (edge.clone(), connections.clone());
        let api = Api::new(api, Handle::current());
        Workers::start(move |stream, client| {
            connections.spawn(stream, Router::new(edge.clone(), api.clone(), client));
        })?
    };
    let mut sweep = interval(limits::POOL_SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);

    loop {
        let (stream, address, permit) = tokio::select! {
            () = shutdown.cancelled() => break,
            now = sweep.tick() => {
                for sandbox in edge.shared.lanes.sweep(now) {
                    edge.shared.backend.used(sandbox);
                }
                continue;
            }
            accepted = accept(&listener, &slots) => accepted,
        };
        let tracked = connections.tasks.token();
        workers.hand(Accepted { stream, address, permit, tracked }).await;
    }

    drop(listener);
    connections.shutdown.come();
    drain(&edge, &connections).await;
    workers.stop().await;
    Ok(())
}

/// Waits for all connections to end, each for as long as it is given.
async fn drain<B: Backend>(edge: &Edge<B>, connections: &Connections) {
    let limits = edge.shared.limits;
    let last = Instant::now() + limits.drain;
    edge.shared.lanes.close_kept();
    connections.tasks.close();
    edge.shared.tunnels.close();
    let all = async {
        connections.tasks.wait().await;
        edge.shared.tunnels.wait().await;
    };
    if timeout(limits.tunnel_drain.min(limits.drain), all).await.is_err() {
        edge.end_streams();
    }
    if timeout_at(last, connections.tasks.wait()).await.is_err() {
        let open = connections.tasks.len();
        tracing::info!(open, "cutting connections that did not end in time");
        connections.cut.come();
        connections.tasks.wait().await;
    }
    edge.join().await;
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let permit = Arc::clone(slots).acquire_owned().await;
        match (permit, listener.accept().await) {
            (Ok(permit), Ok((stream, client))) => {
                return (stream, client, permit);
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
