//! For each request the choice between the edge and the API.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tower::{Service, ServiceExt as _};

use crate::backend::Backend;
use crate::body::{Body, BoxError};
use crate::client::Client;
use crate::edge::Edge;
use crate::head;
use crate::headers;
use crate::host;
use crate::pace::Pace;
use crate::page::{self, Asked};
use crate::socket::Exchange;
use crate::trouble::Trouble;

/// The API, which runs where it was made: its work is not of the size for which
/// connections have threads of their own.
#[derive(Clone)]
pub(super) struct Api<S> {
    service: S,
    runtime: Handle,
}

impl<S> Api<S> {
    pub(super) fn new(service: S, runtime: Handle) -> Self {
        Self { service, runtime }
    }
}

/// Where the requests of one connection go.
pub(super) struct Router<B, S> {
    edge: Edge<B>,
    api: Api<S>,
    pub client: Client,
}

impl<B, S> Router<B, S> {
    pub(super) fn new(edge: Edge<B>, api: Api<S>, client: Client) -> Self {
        Self { edge, api, client }
    }
}

impl<B, S, R> Router<B, S>
where
    B: Backend,
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    /// Answers the next request of the connection.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let exchange = self.client.conversation.begin();
        let version = request.version();
        let mut response = match judge(&request, &exchange) {
            Ok(()) => self.route(request).await,
            Err(trouble) => page::answer(trouble, Asked::by(request.method(), request.headers())),
        };
        if version >= Version::HTTP_2 {
            // Streams have no connection of their own to speak of.
            response.headers_mut().remove(header::CONNECTION);
        } else if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.client.conversation.set_tunnelled();
        } else if self.client.conversation.is_switching() {
            // What came after the request was not looked at: it may have been the
            // protocol that is not switched to.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if headers::is_event_stream(response.headers()) {
            self.client.conversation.set_endless();
        }
        Ok(response.map(|body| body.within(exchange, Pace::current())))
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        let asked = Asked::by(request.method(), request.headers());
        let edge = &self.edge.shared;
        let directed = match host::authority(&request) {
            Ok(host) if edge.holds(host) => edge.direct(&request, host, &self.client),
            Ok(_) => return self.api(request).await,
            Err(error) => Err(Trouble::Host(error)),
        };
        let answer = match directed {
            Ok((target, origin)) => edge.forward(request, target, &origin, &self.client).await,
            Err(trouble) => Err(trouble),
        };
        answer.unwrap_or_else(|trouble| {
            tracing::debug!(?trouble, "a request was not forwarded");
            page::answer(trouble, asked)
        })
    }

    async fn api(&self, request: Request<Incoming>) -> Response<Body> {
        let asked = Asked::by(request.method(), request.headers());
        let answer = self.api.service.clone().oneshot(request);
        // Given up with the request: nobody waits for it any more.
        match AbortOnDropHandle::new(self.api.runtime.spawn(answer)).await {
            Ok(Ok(response)) => {
                response.map(|body| Body::api(body.map_err(Into::into).boxed_unsync()))
            }
            Ok(Err(never)) => match never {},
            Err(error) => {
                tracing::error!(%error, "the API broke down over a request");
                page::answer(Trouble::Failed, asked)
            }
        }
    }
}

/// What no host gets to see.
fn judge(request: &Request<Incoming>, exchange: &Exchange) -> Result<(), Trouble> {
    if let Some(refusal) = exchange.refused() {
        return Err(Trouble::Head(refusal));
    }
    if request.version() < Version::HTTP_2 {
        return Ok(());
    }
    head::examine_stream(request, request.body().is_end_stream()).map_err(Trouble::Head)
}
