//! One exchange with an app: connect, send, take the answer's head.

use http::header::{self, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::backend::{Backend, ConnectError};
use crate::body::{Body, Download, Progress, Upload};
use crate::edge::Shared;
use crate::headers::{self, Origin};
use crate::limits;
use crate::pool::{Lease, Target};
use crate::serve::ConnectionSlot;
use crate::socket::{self, OneWay};
use crate::trouble::Trouble;
use crate::tunnel;

/// The client's side of a switch of protocols that it asked for.
struct Switch {
    client: OnUpgrade,
    /// The connection's place among all; the tunnel keeps it.
    slot: Option<ConnectionSlot>,
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
    ) -> Result<Response<Body>, Trouble> {
        let upgrade = headers::upgrade(request.headers());
        let switch = upgrade.is_some().then(|| Switch {
            client: hyper::upgrade::on(&mut request),
            slot: request.extensions().get::<ConnectionSlot>().cloned(),
        });
        let (head, body) = app_request(request, origin, upgrade);
        let progress = Progress::start();
        let upload = Upload::new(body, &progress);

        // An app may close a kept connection while the request is on its way, and
        // nobody can tell whether it saw the request. So only what may be sent
        // twice goes there; all else gets a connection that was not used before.
        let repeatable = head.method().is_idempotent() && upload.is_empty() && switch.is_none();
        if repeatable && let Some(lease) = self.pool.take(target) {
            let again = head.clone().map(|()| Upload::Empty);
            match self.exchange(lease, again, target, &progress).await {
                Ok((response, lease)) => return self.finish(response, lease, switch, target),
                Err(Failed::Final(trouble)) => return Err(trouble),
                Err(Failed::Lost) => {}
            }
        }
        let lease = self.open(target).await?;
        let request = head.map(|()| upload);
        match self.exchange(lease, request, target, &progress).await {
            Ok((response, lease)) => self.finish(response, lease, switch, target),
            Err(Failed::Final(trouble)) => Err(trouble),
            Err(Failed::Lost) => Err(Trouble::BadAnswer { port: target.port }),
        }
    }

    /// A new connection. A port on which nobody listens is tried for a while: an
    /// app is often asked for in the moment in which it starts.
    async fn open(&self, target: Target) -> Result<Lease, Trouble> {
        let Target { sandbox, port } = target;
        let age = self.pool.age();
        let last_try = Instant::now() + self.limits.listen_wait;
        let stream = loop {
            let attempt = timeout(self.limits.connect, self.backend.connect(sandbox, port)).await;
            match attempt.unwrap_or(Err(ConnectError::Timeout)) {
                Ok(stream) => break stream,
                Err(ConnectError::Refused) if Instant::now() < last_try => {
                    sleep(limits::LISTEN_RETRY).await;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error);
                    tracing::debug!(sandbox = sandbox.short(), port, %error, cause, "no connection to the app");
                    return Err(Trouble::of_connect(&error, port));
                }
            }
        };
        let opened = async {
            socket::prepare(&stream).map_err(|error| error.to_string())?;
            let mut client = http1::Builder::new();
            client
                .max_buf_size(limits::MAX_BUFFER_BYTES)
                .max_header_size(limits::MAX_HEADER_BYTES)
                .max_headers(limits::MAX_HEADERS);
            let io = TokioIo::new(OneWay::new(stream));
            client.handshake(io).await.map_err(|error| error.to_string())
        };
        let (sender, connection) = opened.await.map_err(|error| {
            tracing::debug!(
                sandbox = sandbox.short(),
                port,
                error,
                "the connection to the app failed"
            );
            Trouble::Unreachable { port }
        })?;
        let stopped = self.stopped.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                // How it ended is told by the exchange that rode on it.
                _ = connection.with_upgrades() => {}
                () = stopped.cancelled() => {}
            }
        });
        Ok(self.pool.lease(target, age, sender))
    }

    /// Sends a request and waits for the head of its answer.
    async fn exchange(
        &self,
        mut lease: Lease,
        request: Request<Upload>,
        target: Target,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        let limit = self.limits.first_byte;
        let answer = {
            let answer = lease.sender().try_send_request(request);
            tokio::pin!(answer);
            loop {
                let deadline = progress.last() + limit;
                tokio::select! {
                    answer = &mut answer => break answer,
                    () = sleep_until(deadline) => {
                        // While the client was still sending, the deadline moved on.
                        if progress.last() + limit <= deadline {
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
                if error.is_parse() {
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
        target: Target,
    ) -> Result<Response<Body>, Trouble> {
        let bad = Trouble::BadAnswer { port: target.port };
        if headers::has_foreign_coding(response.headers()) {
            return Err(bad);
        }
        let mut protocol = None;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Only a client that asked for it can go on in another protocol.
            let Switch { client, slot } = switch.ok_or(bad)?;
            protocol = headers::upgrade(response.headers());
            let app = hyper::upgrade::on(&mut response);
            let stopping = self.stopping.clone();
            self.tasks.spawn(async move {
                tunnel::run(client, app, stopping).await;
                drop(slot);
            });
        }
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        parts.extensions = http::Extensions::new();
        headers::for_client(&mut parts.headers, protocol);
        let mut download = Download::new(body, lease);
        if is_event_stream(&parts.headers) {
            download = download.until(self.stopping.clone());
        }
        Ok(Response::from_parts(parts, download.boxed_unsync()))
    }
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
    if http_body::Body::size_hint(&body).exact().is_none() {
        // A body of unknown length is sent whatever the method is: without this,
        // the client below takes it that a GET has none.
        head.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    (head, body)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("text/event-stream")
}
