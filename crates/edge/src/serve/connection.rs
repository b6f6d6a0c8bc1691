//! One client connection, from its first byte to its last.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::BytesMut;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::api::ApiService;
use super::router::Router;
use super::watch::{Seen, Watch};
use crate::backend::Backend;
use crate::end::End;
use crate::limits::{self, Limits};
use crate::pace;
use crate::socket::{self, Guard, Lingering, Prefixed, Protocol};

/// All client connections, and what ends them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pub tasks: TaskTracker,
    /// Asks them to end.
    pub shutdown: End,
    /// Ends them.
    pub cut: End,
    pub limits: Limits,
}

impl Connections {
    /// Serves one more.
    pub(super) fn spawn<B: Backend, S: ApiService>(&self, stream: TcpStream, router: Router<B, S>) {
        let (connections, cut) = (self.clone(), self.cut.clone());
        self.tasks.spawn(async move { cut.or(connections.serve(stream, router)).await });
    }

    async fn serve<B: Backend, S: ApiService>(self, mut stream: TcpStream, router: Router<B, S>) {
        if let Err(error) = socket::prepare(&stream) {
            tracing::debug!(%error, "the client left before its first request");
            return;
        }
        let opening = timeout(self.limits.header_read, socket::read_opening(&mut stream));
        let Some(Ok(Ok(Some((protocol, first))))) = self.shutdown.or(opening).await else {
            tracing::debug!("the client said nothing");
            return;
        };
        let conversation = Arc::clone(&router.client.conversation);
        let stream = Lingering::new(stream, Arc::clone(&conversation), self.limits.write_stall);
        let ended = match protocol {
            Protocol::Http1 => self.http1(stream, first, router).await,
            Protocol::Http2 => self.http2(stream, first, router).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client's connection broke off");
        }
    }

    async fn http1<B: Backend, S: ApiService>(
        self,
        stream: Lingering,
        first: BytesMut,
        router: Router<B, S>,
    ) -> hyper::Result<()> {
        let conversation = Arc::clone(&router.client.conversation);
        let watch = Watch::new(
            Arc::clone(&conversation),
            Some(stream.departure()),
            self.shutdown.wait(),
            &self.limits,
        );
        let stream = Guard::new(stream, first, conversation, self.limits.header_read);
        let router = Arc::new(router);
        let service = service_fn(move |request| Arc::clone(&router).answer(request));
        let served = http1::Builder::new()
            // The guard keeps the time of heads, the watch that of the connection.
            .header_read_timeout(None)
            .half_close(true)
            .max_buf_size(limits::MAX_BUFFER_BYTES)
            .max_header_size(limits::MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        watched(served, watch, http1::UpgradeableConnection::graceful_shutdown).await
    }

    async fn http2<B: Backend, S: ApiService>(
        self,
        stream: Lingering,
        first: BytesMut,
        router: Router<B, S>,
    ) -> hyper::Result<()> {
        let watch = Watch::new(
            Arc::clone(&router.client.conversation),
            None,
            self.shutdown.wait(),
            &self.limits,
        );
        let router = Arc::new(router);
        let service = service_fn(move |request| {
            // Over HTTP/1.1 the guard counts requests; here nobody else does.
            router.client.conversation.ask(1);
            Arc::clone(&router).answer(request)
        });
        let served = http2::Builder::new(self.clone())
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(limits::H2_MAX_STREAMS)
            .max_header_list_size(limits::H2_MAX_HEADER_LIST_BYTES)
            .initial_stream_window_size(limits::H2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::H2_CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(limits::H2_SEND_BUFFER_BYTES)
            .max_pending_accept_reset_streams(limits::H2_MAX_PENDING_RESETS)
            .max_local_error_reset_streams(limits::H2_MAX_ERROR_RESETS)
            .keep_alive_interval(limits::H2_PING_INTERVAL)
            .keep_alive_timeout(limits::H2_PING_TIMEOUT)
            .serve_connection(TokioIo::new(Prefixed::new(first, stream)), service);
        watched(served, watch, http2::Connection::graceful_shutdown).await
    }
}

/// Serves to the end, unless the watch sees another before; `stop` lets the connection
/// take no more requests.
async fn watched<C>(served: C, mut watch: Watch, stop: impl Fn(Pin<&mut C>)) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut served = pin!(served);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = served.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            match ready!(watch.poll(cx)) {
                Seen::Left => return Poll::Ready(Ok(())),
                Seen::Over => stop(served.as_mut()),
            }
        }
    })
    .await
}

/// Requests over HTTP/2 run in tasks of their own.
impl<F> Executor<F> for Connections
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        let (cut, stall) = (self.cut.clone(), self.limits.write_stall);
        self.tasks.spawn(async move { cut.or(pace::keep(stall, work)).await });
    }
}
