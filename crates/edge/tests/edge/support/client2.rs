//! An HTTP/2 client over one connection that began with prior knowledge.

use bytes::Bytes;
use http::request::Builder;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{Stand, within};

pub type Body2 = UnsyncBoxBody<Bytes, hyper::Error>;

/// The connection; clones share it.
#[derive(Clone)]
pub struct Client2 {
    sender: SendRequest<Body2>,
    ended: CancellationToken,
}

impl Client2 {
    pub async fn connect(stand: &Stand) -> Self {
        let stream = TcpStream::connect(stand.address).await.unwrap();
        let (sender, connection) =
            within(http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)))
                .await
                .unwrap();
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        tokio::spawn(async move {
            // How it ended is told by the requests on it.
            let _ = connection.await;
            drop(guard);
        });
        Self { sender, ended }
    }

    pub fn get(&self, host: &str, path: &str) -> Builder {
        Request::builder().uri(format!("http://{host}{path}"))
    }

    pub fn empty() -> Body2 {
        Empty::new().map_err(|never| match never {}).boxed_unsync()
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, request: Builder, body: Bytes) -> (Response<()>, String) {
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        let (head, body) = self.request(request.body(body).unwrap()).await.unwrap().into_parts();
        let body = within(body.collect()).await.unwrap().to_bytes();
        (Response::from_parts(head, ()), String::from_utf8(body.into()).unwrap())
    }

    pub async fn request(&mut self, request: Request<Body2>) -> hyper::Result<Response<Incoming>> {
        within(self.sender.ready()).await?;
        within(self.sender.send_request(request)).await
    }

    /// Waits for the end of the connection.
    pub async fn ended(self) {
        self.ended.cancelled().await;
    }
}
