//! Apps: an HTTP server with a handler, or a bare socket with a script.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
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

/// An app that answers with the trailer `x-sum` of its request, and one that is reserved.
pub async fn trailing() -> App {
    answering(|request| async move {
        let collected = request.into_body().collect().await.unwrap();
        let sum = collected.trailers().and_then(|trailers| trailers.get("x-sum")).cloned();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", sum.unwrap());
        trailers.insert("pando-x", "1".parse().unwrap());
        let frames = [Ok(Frame::data(Bytes::from("body"))), Ok(Frame::trailers(trailers))];
        Response::builder()
            .header("trailer", "x-sum, pando-x")
            .body(StreamBody::new(stream::iter(frames)).boxed_unsync())
            .unwrap()
    })
    .await
}

/// An app whose answers have no body, each for another reason.
pub async fn bodiless() -> App {
    answering(|request| async move {
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let response = match request.uri().path() {
            "/304" => Response::builder().status(304).header("etag", "\"v1\""),
            "/204" => Response::builder().status(204),
            _ => Response::builder().header("content-length", "1234"),
        };
        response.body(empty).unwrap()
    })
    .await
}
