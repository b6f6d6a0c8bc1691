//! Opening a session and asking for one thing.

use std::io;
use std::time::Duration;

use pando_guest_protocol::frame::{self, Frame, FrameError, Kind};
use pando_guest_protocol::session::{
    Done, Entry, Failure, FailureKind, Listener, Listeners, Operation, PROTOCOL, Request,
};
use pando_guest_protocol::{GUEST_ADDRESS, SESSION_PORT};
use pando_types::limits::MAX_DIR_ENTRIES;
use pando_types::{Code, PublicError};
use rustix::net::sockopt;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::sandbox::handle::{Observed, Seat};
use crate::sandbox::policy::State;

/// How long a connection inside the namespace may take. A guest under load
/// answers late, a dead one never.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the agent may take for an answer that needs no work.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a removal of a whole tree may take.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a whole directory listing may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(120);
/// The bytes of one directory listing that are kept.
const MAX_LISTING_BYTES: usize = 64 * 1024 * 1024;

/// The client of one guest's agent. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub struct Guest {
    seat: Seat,
    observed: watch::Receiver<Observed>,
}

/// Why a guest did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// The agent said why.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// No connection to the agent.
    #[error("the sandbox's agent cannot be reached")]
    Connect(#[source] io::Error),
    /// The agent did not answer in time.
    #[error("the sandbox's agent did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The agent broke the protocol, or the connection broke.
    #[error("the sandbox's agent broke off")]
    Frame(#[from] FrameError),
    /// The sandbox was deleted, or its machine died.
    #[error("the sandbox has ended")]
    Gone,
    /// The sandbox was put to sleep.
    #[error("the sandbox went to sleep")]
    Asleep,
    /// What was to be sent to the guest could not be read.
    #[error("the data to send broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// More than the limit came.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
}

impl From<&GuestError> for PublicError {
    fn from(error: &GuestError) -> Self {
        let code = match error {
            GuestError::Failed(failure) => match failure.kind {
                FailureKind::NotFound | FailureKind::NoUser | FailureKind::NoDirectory => {
                    Code::NotFound
                }
                FailureKind::Conflict => Code::Conflict,
                FailureKind::Denied => Code::Forbidden,
                FailureKind::NoSpace => Code::InsufficientStorage,
                FailureKind::Invalid => Code::InvalidRequest,
                FailureKind::Busy => {
                    return Self::new(Code::Unavailable, error.to_string()).retry_after(1);
                }
                FailureKind::Token | FailureKind::Refused | FailureKind::Other => Code::GuestFailed,
            },
            GuestError::Timeout(_) => Code::Timeout,
            GuestError::Gone | GuestError::Asleep => Code::Gone,
            GuestError::TooLarge { .. } | GuestError::Body(_) => Code::TooLarge,
            GuestError::Connect(_) | GuestError::Frame(_) => Code::GuestFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl Guest {
    pub(crate) fn new(seat: Seat, observed: watch::Receiver<Observed>) -> Self {
        Self { seat, observed }
    }

    /// Returns when the machine that it talks to is no more. Its connections would not
    /// tell: nothing is left that could close them.
    pub(crate) async fn gone(&self) -> GuestError {
        let is_over = |observed: &Observed| {
            let lives = matches!(observed.state, State::Creating | State::Running | State::Paused);
            !lives || observed.seat.as_ref() != Some(&self.seat)
        };
        // An error means that its actor has ended, with the server or with the sandbox.
        match self.observed.clone().wait_for(is_over).await.map(|observed| observed.state.clone()) {
            // Awake again, it has another machine.
            Ok(State::Hibernated | State::Running | State::Paused) => GuestError::Asleep,
            _ => GuestError::Gone,
        }
    }

    /// Opens a session for `operation`.
    pub(super) async fn open(&self, operation: Operation) -> Result<TcpStream, GuestError> {
        let connected = self.seat.slot.connect(SESSION_PORT, CONNECT_TIMEOUT).await;
        let mut stream = connected.map_err(GuestError::Connect)?;
        stream.set_nodelay(true).map_err(GuestError::Connect)?;
        // Given up, it is reset: what the agent does not read would hide an ordinary
        // close from it, and stay with our kernel (tcp(7), SO_LINGER in socket(7)).
        stream.set_zero_linger().map_err(GuestError::Connect)?;
        let request = Request { protocol: PROTOCOL, token: self.seat.token.to_string(), operation };
        within(ANSWER_TIMEOUT, async {
            Ok(frame::write_json(&mut stream, Kind::Request, &request).await?)
        })
        .await?;
        Ok(stream)
    }

    /// One question, one answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        operation: Operation,
        limit: Duration,
    ) -> Result<T, GuestError> {
        within(limit, async {
            let mut stream = self.open(operation).await?;
            reply(&frame::expect(&mut stream).await?)
        })
        .await
    }

    /// Answers when the agent does.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn ping(&self) -> Result<(), GuestError> {
        self.ask::<Done>(Operation::Ping, ANSWER_TIMEOUT).await.map(drop)
    }

    /// A directory's entries, by name.
    ///
    /// # Errors
    /// [`GuestError::Failed`] when it is missing or no directory; any other [`GuestError`].
    pub async fn list(&self, path: &str) -> Result<Vec<Entry>, GuestError> {
        within(LIST_TIMEOUT, async {
            let mut stream = self.open(Operation::List { path: path.to_owned() }).await?;
            let mut entries = Vec::new();
            let mut bytes = 0;
            loop {
                let frame = frame::expect(&mut stream).await?;
                match frame.kind {
                    Kind::Data => {
                        bytes += frame.payload.len();
                        let lines = frame.payload.split(|byte| *byte == b'\n');
                        for line in lines.filter(|line| !line.is_empty()) {
                            entries.push(serde_json::from_slice(line).map_err(FrameError::from)?);
                        }
                        if bytes > MAX_LISTING_BYTES || entries.len() > MAX_DIR_ENTRIES {
                            return Err(GuestError::TooLarge { limit_bytes: MAX_LISTING_BYTES });
                        }
                    }
                    Kind::End => return Ok(entries),
                    _ => return Err(unexpected(&frame)),
                }
            }
        })
        .await
    }

    /// One entry; links are not followed.
    ///
    /// # Errors
    /// [`GuestError::Failed`] when it is missing; any other [`GuestError`].
    pub async fn stat(&self, path: &str) -> Result<Entry, GuestError> {
        self.ask(Operation::Stat { path: path.to_owned() }, ANSWER_TIMEOUT).await
    }

    /// Makes a directory and its parents.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn make_dir(&self, path: &str) -> Result<(), GuestError> {
        let operation = Operation::MakeDir { path: path.to_owned() };
        self.ask::<Done>(operation, ANSWER_TIMEOUT).await.map(drop)
    }

    /// Renames; what stood at `to` is replaced.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), GuestError> {
        let operation = Operation::Rename { from: from.to_owned(), to: to.to_owned() };
        self.ask::<Done>(operation, ANSWER_TIMEOUT).await.map(drop)
    }

    /// Removes a file, or a directory (with all in it when `recursive`).
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn remove(&self, path: &str, recursive: bool) -> Result<(), GuestError> {
        let operation = Operation::Remove { path: path.to_owned(), recursive };
        self.ask::<Done>(operation, REMOVE_TIMEOUT).await.map(drop)
    }

    /// The TCP sockets that listen, by port.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn ports(&self) -> Result<Vec<Listener>, GuestError> {
        let listeners: Listeners = self.ask(Operation::Ports, ANSWER_TIMEOUT).await?;
        Ok(listeners.listeners)
    }

    /// A connection to `port` in the guest: directly, or through the agent when
    /// the app listens on its loopback only.
    ///
    /// # Errors
    /// [`GuestError::Failed`] with [`FailureKind::Refused`] when nobody listens.
    pub async fn connect(&self, port: u16) -> Result<TcpStream, GuestError> {
        match self.seat.slot.connect(port, CONNECT_TIMEOUT).await {
            Ok(stream) => Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                within(ANSWER_TIMEOUT, async {
                    let mut stream = self.open(Operation::Relay { port }).await?;
                    reply::<Done>(&frame::expect(&mut stream).await?)?;
                    // From here on it is the app's connection, and closes as one.
                    sockopt::set_socket_linger(&stream, None)
                        .map_err(|error| GuestError::Connect(error.into()))?;
                    Ok(stream)
                })
                .await
            }
            Err(error) => {
                tracing::debug!(%error, address = GUEST_ADDRESS, port, "no connection into the guest");
                Err(GuestError::Connect(error))
            }
        }
    }
}

pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, GuestError>>,
) -> Result<T, GuestError> {
    timeout(limit, work).await.unwrap_or(Err(GuestError::Timeout(limit)))
}

/// The answer that a frame holds, or the failure.
pub(super) fn reply<T: DeserializeOwned>(frame: &Frame) -> Result<T, GuestError> {
    if frame.kind == Kind::Reply { Ok(frame.json()?) } else { Err(unexpected(frame)) }
}

/// What a frame that was not awaited means.
pub(super) fn unexpected(frame: &Frame) -> GuestError {
    match frame.kind {
        Kind::Failed => match frame.json::<Failure>() {
            Ok(failure) => {
                GuestError::Failed(Failure { message: crate::quote(&failure.message), ..failure })
            }
            Err(error) => GuestError::Frame(error),
        },
        other => GuestError::Frame(FrameError::UnknownKind(other as u8)),
    }
}
