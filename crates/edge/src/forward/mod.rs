//! One exchange with an app: the way it takes, and what becomes of its answer.

mod open;
mod patience;
mod single;

use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::body::{Body, Download, Source, Upload};
use crate::client::{Client, ConnectionSlot};
use crate::edge::{Shared, Target};
use crate::headers::{self, Origin};
use crate::lane::{Lease, Visit};
use crate::page;
use crate::socket::Exchange;
use crate::trouble::Trouble;
use crate::websocket::{self, Handshake};
use crate::wire::{Answer, Silence, Wire, WireDownload};
use patience::Patience;

/// The client's side of a switch of protocols that it asked for.
struct Switch {
    client: OnUpgrade,
    /// What the tunnel keeps: the connection's place among all, and its being busy.
    kept: (ConnectionSlot, Exchange),
    /// What the edge answers for, where the client's own handshake is not HTTP/1.1's.
    handshake: Option<Handshake>,
}

impl<B: Backend> Shared<B> {
    /// Sends `request` to `target` and returns its answer, whose body follows as
    /// the app sends it.
    pub(crate) async fn forward(
        &self,
        mut request: Request<Incoming>,
        target: Target,
        origin: &Origin,
        client: &Client,
    ) -> Result<Response<Body>, Trouble> {
        let looks = self.quiet.asks(request.method(), request.headers());
        if looks && self.backend.sleeps(target.sandbox) {
            return Ok(page::asleep());
        }
        let now = Instant::now();
        let lane = self.lanes.of(target.sandbox, now);
        let visit = lane.enter(!looks).map_err(Trouble::Share)?;
        let patience = Patience::of(request.method(), request.headers());
        let handshake = match websocket::protocol_of(&request) {
            Some(_) => Some(Handshake::new().ok_or(Trouble::Protocol)?),
            None => None,
        };
        let upgrade = match handshake {
            Some(_) => Some(Handshake::upgrade()),
            // After a body, nobody looked whether what comes is still HTTP (`head`).
            None if request.version() == Version::HTTP_11 && request.body().is_end_stream() => {
                headers::upgrade(request.headers())
            }
            None => None,
        };
        let switch = upgrade.is_some().then(|| Switch {
            client: hyper::upgrade::on(&mut request),
            kept: (client.slot.clone(), client.conversation.hold()),
            handshake: handshake.clone(),
        });
        let (mut head, body) = app_request(request, origin, upgrade);
        if let Some(handshake) = handshake {
            *head.method_mut() = Method::GET;
            handshake.prepare(head.headers_mut());
        }
        let upload = Upload::new(body);
        if !upload.is_empty() || switch.is_some() {
            let request = head.map(|()| upload);
            return self.forward_single(request, target, switch, visit).await;
        }

        // An app may close a kept connection while the request is on its way, and
        // nobody can tell whether it saw the request. So only what may be sent
        // twice goes there; all else gets a connection that was not used before.
        if head.method().is_idempotent()
            && let Some(mut wire) = lane.take(target.port, client.worker, now)
        {
            match wire.exchange(&head, now + self.limits.first_byte).await {
                Err(Silence::Lost) => {}
                outcome => {
                    let lease = lane.lease(target.port, client.worker);
                    return self.received(outcome, wire, lease, visit, target);
                }
            }
        }
        // So may what woke its app: that has slept since it was last asked, and one that breaks
        // off then has answered nobody.
        let mut may_repeat = head.method().is_idempotent() && self.backend.sleeps(target.sandbox);
        let (mut visit, mut stream) = self.open(visit, target, patience).await?;
        loop {
            let lane = visit.lane();
            let mut wire = lane.adopt(stream);
            let outcome = wire.exchange(&head, Instant::now() + self.limits.first_byte).await;
            if matches!(outcome, Err(Silence::Lost)) && std::mem::take(&mut may_repeat) {
                let (sandbox, port) = (target.sandbox.short(), target.port);
                tracing::info!(sandbox, port, "an app that was just woken broke off: once more");
                drop(wire);
                (visit, stream) = self.open(visit, target, patience).await?;
                continue;
            }
            let lease = lane.lease(target.port, client.worker);
            return self.received(outcome, wire, lease, visit, target);
        }
    }

    /// Makes what came on `wire` the client's answer.
    fn received(
        &self,
        outcome: Result<Answer, Silence>,
        wire: Wire,
        lease: Lease,
        visit: Visit,
        target: Target,
    ) -> Result<Response<Body>, Trouble> {
        let Target { sandbox, port } = target;
        let Answer { head, body, keeps } = outcome.map_err(|silence| {
            tracing::debug!(sandbox = sandbox.short(), port, ?silence, "no answer from the app");
            match silence {
                Silence::Lost | Silence::Malformed => Trouble::BadAnswer { port },
                Silence::Slow => Trouble::SlowAnswer { port, limit: self.limits.first_byte },
            }
        })?;
        let body = WireDownload::new(wire, body, keeps);
        let source = Source::Kept { body: Some(body), lease: Some(lease) };
        let (status, headers) = (head.status(), head.into_parts().0.headers);
        Ok(for_client(status, headers, source, visit))
    }
}

/// An app's answer as the client gets it.
fn for_client(
    status: StatusCode,
    mut headers: HeaderMap,
    source: Source,
    visit: Visit,
) -> Response<Body> {
    headers::for_client(&mut headers, None);
    let streams = headers::is_event_stream(&headers).then(|| visit.lane().streams.clone());
    let mut download = Download::new(source, visit);
    if let Some(streams) = streams {
        download = download.until(&streams);
    }
    let mut response = Response::new(Body::app(download));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The request as the app gets it, apart from its body.
fn app_request(
    request: Request<Incoming>,
    origin: &Origin,
    upgrade: Option<HeaderValue>,
) -> (Request<()>, Incoming) {
    let (parts, body) = request.into_parts();
    let mut head = Request::new(());
    *head.method_mut() = parts.method;
    *head.uri_mut() = match parts.uri.into_parts().path_and_query {
        Some(path) => Uri::from(path),
        None => Uri::from_static("/"),
    };
    *head.version_mut() = Version::HTTP_11;
    *head.headers_mut() = parts.headers;
    headers::for_app(head.headers_mut(), origin, upgrade);
    if body.size_hint().exact().is_none() {
        // A body of unknown length is sent whatever the method is: without this,
        // the client below takes it that a GET has none.
        head.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    (head, body)
}
