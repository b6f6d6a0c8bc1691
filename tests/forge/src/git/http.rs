//! Git over smart HTTP: `git http-backend`, run as CGI, streamed both ways.
//!
//! The exchange runs in a task of its own, so that a client which hangs up in
//! the middle of a push cannot leave the branches changed and nobody told.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{GitRepository, program};
use crate::RepoName;
use crate::change;
use crate::forge::Inner;

/// How long one exchange may take.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(120);
/// The most bytes that one request brings (as sent: git compresses packs).
const MAX_REQUEST_BYTES: usize = 256 * 1024 * 1024;
/// The most bytes of headers read from the CGI program.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// The chunks that wait for a slow client.
const QUEUED_CHUNKS: usize = 8;

/// What the client wants of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// The refs, before a fetch.
    ReadRefs,
    /// The refs, before a push.
    WriteRefs,
    /// A fetch.
    Fetch,
    /// A push.
    Push,
}

/// One request for git, understood from its method and address.
#[derive(Debug)]
pub(crate) struct GitRequest {
    repo: RepoName,
    service: Service,
}

impl GitRequest {
    /// `/{owner}/{name}[.git]/{info/refs|git-upload-pack|git-receive-pack}`; none for the rest.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Option<Self> {
        let (owner, rest) = uri.path().strip_prefix('/')?.split_once('/')?;
        let (name, service) = rest.split_once('/')?;
        let service = match (method, service, uri.query()) {
            (&Method::GET, "info/refs", Some("service=git-upload-pack")) => Service::ReadRefs,
            (&Method::GET, "info/refs", Some("service=git-receive-pack")) => Service::WriteRefs,
            (&Method::POST, "git-upload-pack", None) => Service::Fetch,
            (&Method::POST, "git-receive-pack", None) => Service::Push,
            _ => return None,
        };
        let name = name.strip_suffix(".git").unwrap_or(name);
        Some(Self { repo: RepoName::new(owner, name).ok()?, service })
    }
}

/// Who pushes, as the webhooks name them.
enum Pusher {
    Named(String),
    Refused,
}

/// Serves one request for git.
pub(crate) async fn serve(
    forge: Arc<Inner>,
    peer: SocketAddr,
    wanted: GitRequest,
    request: Request,
) -> Response {
    let Ok(repository) = forge.repository(&wanted.repo) else {
        return (StatusCode::NOT_FOUND, "Repository not found.\n").into_response();
    };
    let writes = matches!(wanted.service, Service::WriteRefs | Service::Push);
    let pusher = match pusher(&forge, peer, request.headers(), &wanted.repo, writes) {
        Pusher::Named(login) => login,
        Pusher::Refused => {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"pando-forge\"")];
            let text = "Give the stand-in's token as the password.\n";
            return (StatusCode::UNAUTHORIZED, challenge, text).into_response();
        }
    };
    let (head, answered) = oneshot::channel();
    let tasks = forge.tasks.clone();
    let _detached = tasks.spawn(async move {
        // A push waits for the one before it, so that each change has one cause.
        let turn = match wanted.service {
            Service::Push => Some(forge.turn(&wanted.repo).lock_owned().await),
            _ => None,
        };
        let before = match &turn {
            Some(_) => repository.branches().await.ok(),
            None => None,
        };
        let exchange = exchange(&repository, &wanted, &pusher, writes, request, head);
        tokio::select! {
            done = tokio::time::timeout(EXCHANGE_LIMIT, exchange) => match done {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(repo = %wanted.repo, %error, "git over HTTP failed"),
                Err(_) => tracing::warn!(repo = %wanted.repo, "git over HTTP took too long"),
            },
            () = forge.stopping.cancelled() => return,
        }
        if let Some(before) = before
            && let Err(error) = change::announce(&forge, &wanted.repo, &before, &pusher).await
        {
            tracing::warn!(repo = %wanted.repo, %error, "a push could not be announced");
        }
    });
    answered.await.unwrap_or_else(|_| {
        (StatusCode::INTERNAL_SERVER_ERROR, "git did not answer; see the log\n").into_response()
    })
}

/// A wrong token is refused even for reading, as GitHub does.
fn pusher(
    forge: &Inner,
    peer: SocketAddr,
    headers: &HeaderMap,
    repo: &RepoName,
    writes: bool,
) -> Pusher {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return if writes && !peer.ip().is_loopback() {
            Pusher::Refused
        } else {
            Pusher::Named(repo.owner().to_owned())
        };
    };
    let login = value
        .to_str()
        .ok()
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|pair| {
            let (login, password) = pair.split_once(':')?;
            (password == forge.token).then(|| login.to_owned())
        });
    match login {
        // What apps and scripts write where only the token counts.
        Some(login) if ["", "x-access-token", "git"].contains(&login.as_str()) => {
            Pusher::Named(repo.owner().to_owned())
        }
        Some(login) => Pusher::Named(login),
        None => Pusher::Refused,
    }
}

/// The CGI exchange itself: request into the program, its answer out.
async fn exchange(
    repository: &GitRepository,
    wanted: &GitRequest,
    pusher: &str,
    writes: bool,
    request: Request,
    head: oneshot::Sender<Response>,
) -> io::Result<()> {
    let mut child = cgi(repository, wanted, pusher, writes, request.headers()).spawn()?;
    let (Some(stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the program has no pipes"));
    };
    let feed = feed(request.into_body(), stdin);
    // Owns the pipe: a program whose answer nobody wants must find it closed.
    let answer = async move {
        let (parts, rest) = read_head(&mut stdout).await?;
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(QUEUED_CHUNKS);
        let mut response = Response::new(Body::from_stream(ReceiverStream::new(receiver)));
        *response.status_mut() = parts.0;
        *response.headers_mut() = parts.1;
        // A client that has hung up is found out by the first chunk.
        let _ = head.send(response);
        let mut chunk = rest;
        let mut listened_to = true;
        loop {
            if !chunk.is_empty() && listened_to {
                listened_to = sender.send(Ok(chunk.split().freeze())).await.is_ok();
            }
            // What a push writes is read to its end even if nobody listens: the
            // program would else die on a full pipe with half its work done.
            if !listened_to && wanted.service != Service::Push {
                return Ok(());
            }
            chunk.clear();
            chunk.reserve(CHUNK_BYTES);
            if stdout.read_buf(&mut chunk).await? == 0 {
                return Ok(());
            }
        }
    };
    tokio::try_join!(feed, answer)?;
    child.wait().await.map(drop)
}

/// `git http-backend` with the request in its environment (RFC 3875).
fn cgi(
    repository: &GitRepository,
    wanted: &GitRequest,
    pusher: &str,
    writes: bool,
    headers: &HeaderMap,
) -> Command {
    let (method, path, query) = match wanted.service {
        Service::ReadRefs => ("GET", "/info/refs", "service=git-upload-pack"),
        Service::WriteRefs => ("GET", "/info/refs", "service=git-receive-pack"),
        Service::Fetch => ("POST", "/git-upload-pack", ""),
        Service::Push => ("POST", "/git-receive-pack", ""),
    };
    let mut translated = repository.path().as_os_str().to_owned();
    translated.push(path);
    let mut command = program(repository.path());
    command
        .arg("http-backend")
        // The program finds the repository by its path, not by this.
        .env_remove("GIT_DIR")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_TRANSLATED", translated)
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    if writes {
        // The program takes pushes only from a user that somebody vouched for.
        command.env("REMOTE_USER", pusher);
    }
    for (name, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    command
}

/// Streams the request's body in, then closes it.
async fn feed(body: Body, mut stdin: ChildStdin) -> io::Result<()> {
    let mut total = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(io::Error::other)?;
        total += chunk.len();
        if total > MAX_REQUEST_BYTES {
            return Err(io::Error::other("the request is too large"));
        }
        match stdin.write_all(&chunk).await {
            // A program that stops reading has said why in its answer.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

/// Reads the CGI header; returns it with the bytes of the body read so far.
async fn read_head(
    stdout: &mut (impl AsyncRead + Unpin),
) -> io::Result<((StatusCode, HeaderMap), BytesMut)> {
    let mut bytes = BytesMut::with_capacity(CHUNK_BYTES);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > MAX_HEAD_BYTES || stdout.read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::other("the program sent no headers"));
        }
    };
    let head = bytes.split_to(end + 4);
    let unreadable = || io::Error::other("the program sent headers that cannot be read");
    let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
    for line in head[..].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if line.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(line).map_err(|_| unreadable())?;
        let (name, value) = text.split_once(": ").ok_or_else(unreadable)?;
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse::<u16>().ok());
            status =
                code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or_else(unreadable)?;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unreadable())?;
            headers.append(name, HeaderValue::from_str(value).map_err(|_| unreadable())?);
        }
    }
    Ok(((status, headers), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(method: Method, uri: &'static str) -> Option<Service> {
        GitRequest::of(&method, &Uri::from_static(uri)).map(|request| request.service)
    }

    #[test]
    fn only_the_four_smart_requests_are_for_git() {
        let refs = "/pando/hello.git/info/refs?service=git-upload-pack";
        assert_eq!(service(Method::GET, refs), Some(Service::ReadRefs));
        assert_eq!(service(Method::POST, "/pando/hello/git-receive-pack"), Some(Service::Push));
        assert_eq!(service(Method::GET, "/pando/hello.git/info/refs"), None);
        assert_eq!(service(Method::GET, "/pando/hello.git/HEAD"), None);
        assert_eq!(service(Method::GET, "/repos/a/info/refs?service=git-upload-pack"), None);
        assert_eq!(service(Method::POST, "/pando/../git-upload-pack"), None);
    }

    #[tokio::test]
    async fn the_head_ends_where_the_body_starts() {
        let mut answer = &b"Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nbody"[..];
        let ((status, headers), rest) = read_head(&mut answer).await.unwrap();
        assert_eq!((status.as_u16(), headers.len()), (403, 1));
        let mut body = rest.to_vec();
        answer.read_to_end(&mut body).await.unwrap();
        assert_eq!(body, b"body");
        assert!(read_head(&mut &b"no headers"[..]).await.is_err());
    }
}
