//! Requests over https that are not git's own: where a repository moved to, and files in
//! LFS. Each goes to a host that may be reached, at the addresses that were looked at, and
//! follows nothing by itself.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::access::Source;
use super::host::{self, HostPort};
use super::program::is_proxied;
use super::{GitError, GitUrl, UrlError};

const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// How long an answer may say nothing.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// What git asks of a repository first.
const REFS: &str = "/info/refs?service=git-upload-pack";

/// A client for one host, and the address to ask it for.
pub(super) async fn client(url: &str, allowed: &[HostPort]) -> Result<(Client, Url), GitError> {
    let url = Url::parse(url).map_err(|_| UrlError::Form)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(UrlError::Form.into());
    };
    let is_open = host::is_allowed(host, port, allowed);
    if url.scheme() != "https" && !(url.scheme() == "http" && is_open) {
        return Err(UrlError::Plain(host.to_owned()).into());
    }
    let mut builder = Client::builder()
        .user_agent(concat!("pando/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(SILENCE_LIMIT)
        .redirect(Policy::none());
    if let Some(addresses) = host::check(host, port, allowed, is_proxied()).await? {
        let addresses: Vec<SocketAddr> =
            addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        builder = builder.resolve_to_addrs(host, &addresses);
    }
    let client = builder.build().map_err(|error| failed("cannot be asked", &error))?;
    Ok((client, url))
}

/// Where the forge sends whoever asks for a repository at this address.
pub(super) async fn moved(source: &Source, allowed: &[HostPort]) -> Result<GitUrl, GitError> {
    let (client, url) = client(&format!("{}{REFS}", source.url), allowed).await?;
    let mut request = client.get(url.clone());
    if let Some(authorization) = source.authorization() {
        request = request.header("Authorization", authorization);
    }
    let answer = request.send().await.map_err(|error| failed("cannot be asked", &error))?;
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let to = location.and_then(|location| url.join(location).ok());
    let to = to.ok_or(GitError::Redirect("nowhere".into()))?;
    let text = to.as_str();
    // GitHub repeats the whole; others send to the repository alone.
    let repository = text.strip_suffix(REFS).or(text.strip_suffix("/info/refs")).unwrap_or(text);
    let refused = |_| GitError::Redirect(text.chars().take(200).collect());
    GitUrl::parse(repository, allowed).map_err(refused)
}

/// Reads an answer of at most so many bytes.
pub(super) async fn body(
    answer: Response,
    limit_bytes: usize,
    what: &'static str,
) -> Result<Vec<u8>, GitError> {
    let mut body = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| failed("broke off", &error))?;
        if body.len() + bytes.len() > limit_bytes {
            return Err(GitError::TooLarge { what, limit_bytes: limit_bytes as u64 });
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

/// Without the address, which may hold a signature.
pub(super) fn failed(what: &str, error: &reqwest::Error) -> GitError {
    let why = if error.is_timeout() { ": it took too long" } else { "" };
    GitError::Web(format!("the forge {what}{why}"))
}
