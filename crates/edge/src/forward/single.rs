//! Exchanges that go both ways at once: uploads, and switches of protocols. Each
//! has a connection of its own.

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::patience::Patience;
use super::{Switch, for_client};
use crate::backend::Backend;
use crate::body::{Body, Progress, Source, Upload};
use crate::edge::{Shared, Target};
use crate::headers;
use crate::lane::{Lane, Visit};
use crate::limits;
use crate::socket::OneWay;
use crate::trouble::Trouble;
use crate::tunnel;
use crate::websocket::Handshake;

impl<B: Backend> Shared<B> {
    /// Sends `request` on a connection that is not used again.
    pub(super) async fn forward_single(
        &self,
        mut request: Request<Upload>,
        target: Target,
        switch: Option<Switch>,
        visit: Visit,
    ) -> Result<Response<Body>, Trouble> {
        // Until then nothing was read of the body: its client holds it.
        let (visit, stream) = self.open(visit, target, Patience::Hold).await?;
        let mut sender = self.start(stream, visit.lane(), target).await?;
        if switch.is_none() {
            request.headers_mut().append(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let mut response = self.exchange(&mut sender, request, target).await?;

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
            let Switch { client, kept, .. } = switch.ok_or(bad)?;
            let app = hyper::upgrade::on(&mut response);
            let end = visit.lane().streams.clone();
            self.tunnels.spawn(async move {
                tunnel::run(client, app, &end).await;
                drop((kept, visit));
            });
            return Ok(switched(response, is_opened.is_some()));
        }
        let (parts, body) = response.into_parts();
        let source = Source::Single { body, _sender: sender };
        Ok(for_client(status, parts.headers, source, visit))
    }

    /// Begins to speak HTTP on `stream`, for as long as `lane` is there.
    async fn start(
        &self,
        stream: TcpStream,
        lane: &Lane,
        target: Target,
    ) -> Result<SendRequest<Upload>, Trouble> {
        let mut client = http1::Builder::new();
        client.max_buf_size(limits::MAX_BUFFER_BYTES).max_header_size(limits::MAX_HEADER_BYTES);
        let handshake = client.handshake(TokioIo::new(OneWay::new(stream)));
        let (sender, connection) = handshake.await.map_err(|error| {
            let (sandbox, port) = (target.sandbox.short(), target.port);
            tracing::debug!(sandbox, port, %error, "the connection to the app failed");
            Trouble::Unreachable { port }
        })?;
        let end = lane.connections.clone();
        self.connections.spawn(async move {
            // How it ended is told by the exchange that rode on it.
            end.or(connection.with_upgrades()).await;
        });
        Ok(sender)
    }

    /// Sends a request and waits for the head of its answer.
    async fn exchange(
        &self,
        sender: &mut SendRequest<Upload>,
        request: Request<Upload>,
        target: Target,
    ) -> Result<Response<Incoming>, Trouble> {
        let Target { sandbox, port } = target;
        let (progress, started) = (request.body().progress(), Instant::now());
        let limit = self.limits.first_byte;
        let last = || progress.as_ref().map_or(started, Progress::last);
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        let answer = loop {
            let deadline = last() + limit;
            tokio::select! {
                biased;
                answer = &mut answer => break answer,
                () = sleep_until(deadline) => {
                    // While the client was still sending, the deadline moved on.
                    if last() + limit <= deadline {
                        return Err(Trouble::SlowAnswer { port, limit });
                    }
                }
            }
        };
        answer.map_err(|error| {
            tracing::debug!(sandbox = sandbox.short(), port, %error, "no answer from the app");
            if progress.as_ref().is_some_and(Progress::is_broken) {
                Trouble::BrokenUpload
            } else {
                Trouble::BadAnswer { port }
            }
        })
    }
}

/// The answer to a client whose protocol is switched; `over_http2` if that is the
/// beginning of a stream's body rather than of another protocol.
fn switched(response: Response<Incoming>, over_http2: bool) -> Response<Body> {
    let mut headers = response.into_parts().0.headers;
    let mut status = StatusCode::SWITCHING_PROTOCOLS;
    if over_http2 {
        status = StatusCode::OK;
        headers::for_client(&mut headers, None);
        Handshake::clean(&mut headers);
    } else {
        let protocol = headers::upgrade(&headers);
        headers::for_client(&mut headers, protocol);
    }
    let mut response = Response::new(Body::own(String::new()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
