//! The way to the API, which answers what is for no preview host.

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tower::{Service, ServiceExt as _};

use crate::body::{Body, BoxError};
use crate::page::{self, Asked};
use crate::trouble::Trouble;

/// Every HTTP service that can be the API; in one word, because it is named at each
/// step of a connection.
pub(super) trait ApiService: Clone + Send + Sync + 'static {
    fn respond(self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

impl<S, R> ApiService for S
where
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    async fn respond(self, request: Request<Incoming>) -> Response<Body> {
        match self.oneshot(request).await {
            Ok(response) => response.map(|body| Body::api(body.map_err(Into::into).boxed_unsync())),
            Err(never) => match never {},
        }
    }
}

/// The API, which runs where it was made: its work is not of the size for which
/// connections have threads of their own.
#[derive(Clone)]
pub(super) struct Api<S> {
    service: S,
    runtime: Handle,
}

impl<S: ApiService> Api<S> {
    pub(super) fn new(service: S, runtime: Handle) -> Self {
        Self { service, runtime }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let asked = Asked::by(request.method(), request.headers());
        let answer = self.service.clone().respond(request);
        // Given up with the request: nobody waits for it any more.
        let answer = AbortOnDropHandle::new(self.runtime.spawn(answer)).await;
        answer.unwrap_or_else(|error| {
            tracing::error!(%error, "the API broke down over a request");
            page::answer(Trouble::Failed, asked)
        })
    }
}
