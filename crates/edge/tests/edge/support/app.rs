//! Apps: an HTTP server with a handler, or a bare socket with a script.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running app; dropping it ends its listener.
pub struct App {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An app that answers each HTTP request with what `handler` makes of it.
pub async fn answering<F, R>(handler: F) -> App
where
    F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<UnsyncBoxBody<Bytes, hyper::Error>>> + Send + 'static,
{
    let handler = Arc::new(handler);
    raw(move |stream| {
        let handler = Arc::clone(&handler);
        async move {
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            // How a connection ends is the edge's business in these tests.
            let _ = hyper::server::conn::http1::Builder::new()
                .max_headers(2 * pando_edge::limits::MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        }
    })
    .await
}

/// An app that does what `script` does with each connection.
pub async fn raw<F, R>(script: F) -> App
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(script(stream));
        }
    });
    App { address, task }
}
