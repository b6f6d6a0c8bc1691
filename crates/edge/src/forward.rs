//! One exchange with an app: connect, send, take the answer's head.

use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use pando_types::SandboxId;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::backend::{Backend, ConnectError};
use crate::body::{Body, Download, Progress, Upload};
use crate::edge::Shared;
use crate::headers::{self, Origin};
use crate::lane::{Lane, Lease, Visit};
use crate::limits;
use crate::serve::{Client, ConnectionSlot};
use crate::socket::{self, OneWay};
use crate::trouble::Trouble;
use crate::tunnel;
use crate::websocket::{self, Handshake};

/// A port of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub sandbox: SandboxId,
    pub port: u16,
}

/// The client's side of a switch of protocols that it asked for.
struct Switch {
    client: OnUpgrade,
    /// The connection's place among all; the tunnel keeps it.
    slot: ConnectionSlot,
    /// What the edge answers for, where the client's own handshake is not HTTP/1.1's.
    handshake: Option<Handshake>,
}

/// Why an exchange brought no answer.
enum Failed {
    /// The connection ended before an answer began.
    Lost,
    /// Another try would end the same way.
    Final(Trouble),
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
        let now = Instant::now();
        let lane = self.lanes.of(target.sandbox, now);
        let visit = lane.enter().map_err(Trouble::Share)?;
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
            slot: client.slot.clone(),
            handshake: handshake.clone(),
        });
        let (mut head, body) = app_request(request, origin, upgrade);
        if let Some(handshake) = handshake {
            *head.method_mut() = Method::GET;
            handshake.prepare(head.headers_mut());
        }
        let upload = Upload::new(body);

        // An app may close a kept connection while the request is on its way, and
        // nobody can tell whether it saw the request. So only what may be sent
        // twice goes there; all else gets a connection that was not used before.
        let repeatable = head.method().is_idempotent() && upload.is_empty() && switch.is_none();
        if repeatable && let Some(lease) = lane.take(target.port, now) {
            let again = head.clone().map(|()| Upload::Empty);
            match self.exchange(lease, again, target, now).await {
                Ok((response, lease)) => {
                    return self.finish(response, lease, switch, visit, &lane, target);
                }
                Err(Failed::Final(trouble)) => return Err(trouble),
                Err(Failed::Lost) => {}
            }
        }
        let (lane, lease) = self.open(lane, target).await?;
        let request = head.map(|()| upload);
        match self.exchange(lease, request, target, Instant::now()).await {
            Ok((response, lease)) => self.finish(response, lease, switch, visit, &lane, target),
            Err(Failed::Final(trouble)) => Err(trouble),
            Err(Failed::Lost) => Err(Trouble::BadAnswer { port: target.port }),
        }
    }

    /// A new connection, and the lane it is on: another than `lane` if the sandbox
    /// ended meanwhile, for then nobody can tell where the connection leads.
    async fn open(
        &self,
        mut lane: Arc<Lane>,
        target: Target,
    ) -> Result<(Arc<Lane>, Lease), Trouble> {
        for _ in 0..limits::MAX_REPLACED {
            if lane.is_over() {
                lane = self.lanes.of(target.sandbox, Instant::now());
            }
            let stream = self.connect(target).await?;
            if !lane.is_over() {
                let lease = self.start(stream, &lane, target).await?;
                return Ok((lane, lease));
            }
        }
        Err(Trouble::Unreachable { port: target.port })
    }

    /// A new stream. A port on which nobody listens is tried for a while: an app is
    /// often asked for in the moment in which it starts.
    async fn connect(&self, target: Target) -> Result<TcpStream, Trouble> {
        let Target { sandbox, port } = target;
        let last_try = Instant::now() + self.limits.listen_wait;
        loop {
            let attempt = timeout(self.limits.connect, self.backend.connect(sandbox, port)).await;
            match attempt.unwrap_or(Err(ConnectError::Timeout)) {
                Ok(stream) => return Ok(stream),
                Err(ConnectError::Refused) if Instant::now() < last_try => {
                    sleep(limits::LISTEN_RETRY).await;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error);
                    tracing::debug!(sandbox = sandbox.short(), port, %error, cause, "no connection to the app");
                    return Err(Trouble::of_connect(&error, port));
                }
            }
        }
    }

    /// Begins to speak HTTP on `stream`, for as long as `lane` is there.
    async fn start(
        &self,
        stream: TcpStream,
        lane: &Arc<Lane>,
        target: Target,
    ) -> Result<Lease, Trouble> {
        let opened = async {
            socket::prepare(&stream).map_err(|error| error.to_string())?;
            let mut client = http1::Builder::new();
            client.max_buf_size(limits::MAX_BUFFER_BYTES).max_header_size(limits::MAX_HEADER_BYTES);
            let io = TokioIo::new(OneWay::new(stream));
            client.handshake(io).await.map_err(|error| error.to_string())
        };
        let (sender, connection) = opened.await.map_err(|error| {
            let (sandbox, port) = (target.sandbox.short(), target.port);
            tracing::debug!(sandbox, port, error, "the connection to the app failed");
            Trouble::Unreachable { port }
        })?;
        let end = lane.connections.clone();
        self.connections.spawn(async move {
            // How it ended is told by the exchange that rode on it.
            end.or(connection.with_upgrades()).await;
        });
        Ok(lane.lease(target.port, sender))
    }

    /// Sends a request and waits for the head of its answer.
    async fn exchange(
        &self,
        mut lease: Lease,
        request: Request<Upload>,
        target: Target,
        started: Instant,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        let progress = request.body().progress();
        let limit = self.limits.first_byte;
        let answer = {
            let answer = lease.sender().try_send_request(request);
            tokio::pin!(answer);
            loop {
                let deadline = progress.as_ref().map_or(started, Progress::last) + limit;
                tokio::select! {
                    biased;
                    answer = &mut answer => break answer,
                    () = sleep_until(deadline) => {
                        // While the client was still sending, the deadline moved on.
                        if progress.as_ref().map_or(started, Progress::last) + limit <= deadline {
                            return Err(Failed::Final(Trouble::SlowAnswer { port: target.port, limit }));
                        }
                    }
                }
            }
        };
        match answer {
            Ok(response) => Ok((response, lease)),
            Err(failed) => {
                let error = failed.error();
                tracing::debug!(sandbox = target.sandbox.short(), port = target.port, %error, "no answer from the app");
                if progress.is_some_and(|progress| progress.is_broken()) {
                    Err(Failed::Final(Trouble::BrokenUpload))
                } else if error.is_parse() {
                    Err(Failed::Final(Trouble::BadAnswer { port: target.port }))
                } else {
                    Err(Failed::Lost)
                }
            }
        }
    }

    /// Makes the app's answer the client's.
    fn finish(
        &self,
        mut response: Response<Incoming>,
        lease: Lease,
        switch: Option<Switch>,
        visit: Visit,
        lane: &Lane,
        target: Target,
    ) -> Result<Response<Body>, Trouble> {
        let bad = Trouble::BadAnswer { port: target.port };
        if headers::has_foreign_coding(response.headers()) {
            return Err(bad);
        }
        let status = response.status();
        let handshake = switch.as_ref().and_then(|switch| switch.handshake.as_ref());
        let is_opened =
            handshake.map(|handshake| handshake.is_accepted(status, response.headers()));
        if is_opened == Some(false) && (status.is_success() || status.is_informational()) {
            // To the client, any success would mean that the tunnel stands.
            return Err(bad);
        }
        if status == StatusCode::SWITCHING_PROTOCOLS {
            // Only a client that asked for it can go on in another protocol.
            let Switch { client, slot, .. } = switch.ok_or(bad)?;
            let app = hyper::upgrade::on(&mut response);
            let end = lane.streams.clone();
            self.tunnels.spawn(async move {
                tunnel::run(client, app, &end).await;
                drop((slot, visit));
            });
            return Ok(switched(response, is_opened.is_some()));
        }
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        parts.extensions = http::Extensions::new();
        headers::for_client(&mut parts.headers, None);
        headers::forbid_indexing(&mut parts.headers);
        let mut download = Download::new(body, lease, visit);
        if headers::is_event_stream(&parts.headers) {
            download = download.until(&lane.streams);
        }
        Ok(Response::from_parts(parts, Body::app(download)))
    }
}

/// The answer to a client whose protocol is switched; `over_http2` if that is the
/// beginning of a stream's body rather than of another protocol.
fn switched(response: Response<Incoming>, over_http2: bool) -> Response<Body> {
    let (mut parts, _) = response.into_parts();
    parts.version = Version::HTTP_11;
    parts.extensions = http::Extensions::new();
    if over_http2 {
        parts.status = StatusCode::OK;
        headers::for_client(&mut parts.headers, None);
        Handshake::clean(&mut parts.headers);
    } else {
        let protocol = headers::upgrade(&parts.headers);
        headers::for_client(&mut parts.headers, protocol);
    }
    headers::forbid_indexing(&mut parts.headers);
    Response::from_parts(parts, Body::own(String::new()))
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
