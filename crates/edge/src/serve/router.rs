//! For each request the choice between the edge and the API.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};

use super::api::{Api, ApiService};
use crate::backend::Backend;
use crate::body::Body;
use crate::client::Client;
use crate::edge::Edge;
use crate::head;
use crate::headers;
use crate::host::{self, HostLabel};
use crate::pace::Pace;
use crate::page::{self, Asked};
use crate::socket::Exchange;
use crate::trouble::Trouble;

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

impl<B: Backend, S: ApiService> Router<B, S> {
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
        let named = match host::authority(&request) {
            Ok(host) => edge.named(host).map(|label| label.map(|label| (host, label))),
            Err(error) => Some(Err(Trouble::Host(error))),
        };
        self.client.conversation.set_api(named.is_none());
        let Some(named) = named else {
            return self.api.answer(request).await;
        };
        let is_preview = !matches!(&named, Ok((_, HostLabel::Domain(_))));
        let directed =
            named.and_then(|(host, label)| edge.direct(&request, host, &label, &self.client));
        let answer = match directed {
            Ok((target, origin)) => edge.forward(request, target, &origin, &self.client).await,
            Err(trouble) => Err(trouble),
        };
        let mut answer = answer.unwrap_or_else(|trouble| {
            tracing::debug!(?trouble, "a request was not forwarded");
            page::answer(trouble, asked)
        });
        if is_preview {
            headers::forbid_indexing(answer.headers_mut());
        }
        answer
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
