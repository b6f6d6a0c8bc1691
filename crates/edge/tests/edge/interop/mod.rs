//! Other people's clients against the served edge: curl, nghttp2's tools, wrk, a
//! browser. `make setup` installs them; one that is missing fails its test.

mod browser;
mod curl;
mod load;
mod nghttp;

use std::num::NonZeroU32;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use pando_edge::Limits;

use crate::support::{App, Stand, answering};

/// A page of the size that load is measured with.
const PAGE: &[u8] = &[b'x'; 1024];

/// No share is used up by a load generator.
fn generous() -> Limits {
    Limits {
        app_requests_per_sec: NonZeroU32::MAX,
        app_request_burst: NonZeroU32::MAX,
        ..Limits::default()
    }
}

fn full(text: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, hyper::Error> {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The app that they all talk to.
async fn site() -> App {
    answering(|request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        match parts.uri.path() {
            "/page" => Response::new(full(PAGE)),
            "/unchanged" => {
                let known = parts.headers.get("if-none-match").is_some();
                let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
                let page = if known { full("") } else { full(PAGE) };
                Response::builder().status(status).header("etag", "\"v1\"").body(page).unwrap()
            }
            "/empty" => Response::builder().status(204).body(full("")).unwrap(),
            "/trailers" => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sum", "42".parse().unwrap());
                let frames = [Ok(Frame::data(Bytes::from("body"))), Ok(Frame::trailers(trailers))];
                Response::builder()
                    .header("trailer", "x-sum")
                    .body(StreamBody::new(stream::iter(frames)).boxed_unsync())
                    .unwrap()
            }
            // Everything else goes back as it came.
            _ => {
                let collected = body.collect().await.unwrap();
                let trailers = collected.trailers().cloned().unwrap_or_default();
                let mut response = Response::new(full(collected.to_bytes()));
                for (name, value) in &trailers {
                    response.headers_mut().insert(name.clone(), value.clone());
                }
                response
            }
        }
    })
    .await
}

/// A served edge with the app behind it.
struct Site {
    stand: Stand,
    _app: App,
    host: String,
}

impl Site {
    async fn start() -> Self {
        let (stand, app) = (Stand::with(generous()).await, site().await);
        let (_, host) = stand.sandbox(&app);
        // Clients name the port that they connect to.
        let host = host.replace(":7070", &format!(":{}", stand.address.port()));
        Self { stand, _app: app, host }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    fn address(&self) -> String {
        self.stand.address.to_string()
    }
}

/// What a program printed.
struct Printed {
    stdout: String,
    stderr: String,
}

/// Runs a program to its end, which must be a good one.
async fn run(program: &str, arguments: &[&str], input: &[u8]) -> Printed {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| missing(program, &error));
    let mut stdin = child.stdin.take().unwrap();
    let write = async move {
        // A client that has its answer may leave the rest of its input.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, input).await;
    };
    let (output, ()) =
        crate::support::within(async { tokio::join!(child.wait_with_output(), write) }).await;
    let output = output.unwrap();
    let printed = Printed {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(
        output.status.success(),
        "{program} {arguments:?} ended with {}:\n{}{}",
        output.status,
        printed.stdout,
        printed.stderr
    );
    printed
}

/// A program that runs beside the test; it and its children end with the test.
struct Running(std::process::Child);

impl Running {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| missing(program, &error)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

fn missing(program: &str, error: &std::io::Error) -> ! {
    panic!("cannot run `{program}` ({error}): `make setup` installs what the tests need")
}
