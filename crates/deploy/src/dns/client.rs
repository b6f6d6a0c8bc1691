//! Sends questions, and waits for their answers.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::message::{self, Fault, Kind, Question};
use super::server::DnsServer;

/// How long one resolver is waited for, and how often each is asked.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 2;
/// The longest answer that is taken: none is longer than what is asked without extensions.
const MAX_ANSWER_BYTES: usize = 4096;
/// The answers to other questions that are passed over while ours is waited for.
const MAX_FOREIGN: usize = 32;

/// Asks for records.
#[derive(Debug, Clone)]
pub(crate) struct Dns {
    server: DnsServer,
}

/// Why there is no answer; a person reads it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    /// It is too long, or no name.
    #[error("it cannot be asked for")]
    NoName,
    /// Nobody answered.
    #[error("no resolver answers")]
    Silent,
    /// The resolver says that it could not.
    #[error("the resolver could not find out (response code {0})")]
    Refused(u16),
    /// It cannot be read.
    #[error("the resolver's answer cannot be read")]
    Unreadable,
}

impl Dns {
    pub(crate) fn new(server: DnsServer) -> Self {
        Self { server }
    }

    /// The name that `name` is an alias of, in lower case.
    pub(crate) async fn alias(&self, name: &str) -> Result<Option<String>, DnsError> {
        let values = self.ask(name, Kind::Cname).await?;
        let first = values.into_iter().next();
        Ok(first.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    /// The texts that `name` has.
    pub(crate) async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, DnsError> {
        self.ask(name, Kind::Txt).await
    }

    async fn ask(&self, name: &str, kind: Kind) -> Result<Vec<Vec<u8>>, DnsError> {
        let name = name.to_ascii_lowercase();
        let mut last = DnsError::Silent;
        let servers = self.server.addresses();
        for server in servers.iter().cycle().take(servers.len() * TRIES) {
            let mut id = [0; 2];
            // Whoever cannot see the question must not be able to answer it.
            aws_lc_rs::rand::fill(&mut id).map_err(|_| DnsError::Silent)?;
            let asked = Question { id: u16::from_be_bytes(id), name: &name, kind };
            let bytes = message::question(&asked).ok_or(DnsError::NoName)?;
            match timeout(PATIENCE, exchange(*server, &bytes, &asked)).await {
                Ok(Ok(Ok(values))) => return Ok(values),
                Ok(Ok(Err(Fault::Refused(code)))) => last = DnsError::Refused(code),
                Ok(Ok(Err(_))) => last = DnsError::Unreadable,
                Ok(Err(error)) => tracing::debug!(%error, %server, "a resolver was not asked"),
                Err(_) => tracing::debug!(%server, "a resolver did not answer in time"),
            }
        }
        Err(last)
    }
}

/// The first answer to the question, from a port that nobody knows before.
async fn exchange(
    server: SocketAddr,
    bytes: &[u8],
    asked: &Question<'_>,
) -> std::io::Result<Result<Vec<Vec<u8>>, Fault>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Then the kernel drops what others send.
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut answer = [0; MAX_ANSWER_BYTES];
    for _ in 0..MAX_FOREIGN {
        let length = socket.recv(&mut answer).await?;
        match message::values(&answer[..length], asked) {
            Err(Fault::NotOurs) => {}
            other => return Ok(other),
        }
    }
    Ok(Err(Fault::NotOurs))
}
