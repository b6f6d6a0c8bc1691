//! Opening a session and asking for one thing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::frame::{self, Frame, FrameError, Kind, MAX_PAYLOAD_BYTES};
use pando_guest_protocol::session::{
    Done, Entry, Failure, FailureKind, Listener, Listeners, Operation, PROTOCOL, Request,
};
use pando_guest_protocol::{GUEST_ADDRESS, SESSION_PORT};
use pando_types::limits::{MAX_DIR_ENTRIES, MAX_PATH_COMPONENT_BYTES};
use pando_types::{Code, PublicError};
use rustix::net::sockopt;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::frames::{self, Frames};
use super::lines::{self, Most};
use crate::held::{Account, Held, NoRoom};
use crate::sandbox::handle::{Observed, Seat};
use crate::sandbox::policy::State;
use crate::sandbox::usage::InUse;

/// How long a connection inside the namespace may take. A guest under load
/// answers late, a dead one never.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the agent may take for an answer that needs no work, and how long it may
/// say nothing of one that does.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a removal of a whole tree may take.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a whole directory listing may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(120);
/// The bytes of one directory listing that are read.
const MAX_LISTING_BYTES: usize = 64 * 1024 * 1024;
/// A name whose bytes all became U+FFFD, each of which takes three.
const MAX_NAME_BYTES: usize = 3 * MAX_PATH_COMPONENT_BYTES;
/// What a value takes for each byte of the JSON it was read from, at most.
pub(super) const EACH_BYTE_READ: usize = 3;

/// The client of one guest's agent. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub struct Guest {
    seat: Seat,
    observed: watch::Receiver<Observed>,
    account: Account,
    /// Its sandbox is not idle as long as there is a client, or something that it began;
    /// but for one that only looks on.
    _in_use: Option<Arc<InUse>>,
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
    /// The agent says of a directory that it holds what none can.
    #[error("the sandbox's agent names `{0}` in a directory, which is no name")]
    NoName(String),
    /// The agent speaks of a process that was never asked for.
    #[error("the sandbox's agent keeps a process `{0}`, which is no name of one")]
    NoProcess(String),
    /// The agent lists more than there can be.
    #[error("the sandbox's agent lists more than {most} processes")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// The sandbox was deleted, or its machine died.
    #[error("the sandbox has ended")]
    Gone,
    /// The sandbox was put to sleep.
    #[error("the sandbox went to sleep")]
    Asleep,
    /// What was to be sent to the guest could not be read.
    #[error("the data to send broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server holds all that it may.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// What is asked for does not go into one frame.
    #[error(
        "it takes {bytes} bytes as JSON, more than the {MAX_PAYLOAD_BYTES} that the sandbox's agent takes at once"
    )]
    TooMuch {
        /// What it takes.
        bytes: usize,
    },
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
            GuestError::NoRoom(no_room) => return (*no_room).into(),
            GuestError::Timeout(_) => Code::Timeout,
            GuestError::Gone | GuestError::Asleep => Code::Gone,
            GuestError::TooMuch { .. } => {
                return Self::new(Code::TooLarge, error.to_string())
                    .hint("write what is long to a file in the sandbox, and name that");
            }
            GuestError::TooLarge { .. } | GuestError::Body(_) => Code::TooLarge,
            GuestError::Connect(_)
            | GuestError::Frame(_)
            | GuestError::NoName(_)
            | GuestError::NoProcess(_)
            | GuestError::TooMany { .. } => Code::GuestFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl Guest {
    pub(crate) fn new(
        seat: Seat,
        observed: watch::Receiver<Observed>,
        account: Account,
        in_use: InUse,
    ) -> Self {
        Self { seat, observed, account, _in_use: Some(Arc::new(in_use)) }
    }

    /// The same client, which is no use of its sandbox any more: it may fall asleep, and what
    /// is under way ends with [`GuestError::Asleep`] then.
    #[must_use]
    pub fn looking_on(self) -> Self {
        Self { _in_use: None, ..self }
    }

    /// Where what is held for this client is counted.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
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
        // Before anything is waited for: what is asked may take much more room than the
        // frame that asks it.
        let request = Request { protocol: PROTOCOL, token: self.seat.token.to_string(), operation };
        let payload = serde_json::to_vec(&request).map_err(FrameError::from)?;
        drop(request);
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(GuestError::TooMuch { bytes: payload.len() });
        }
        let _charge = frames::charge(&self.account, payload.len(), 2)?;
        let connected = self.seat.slot.connect(SESSION_PORT, CONNECT_TIMEOUT).await;
        let mut stream = connected.map_err(GuestError::Connect)?;
        stream.set_nodelay(true).map_err(GuestError::Connect)?;
        // Given up, it is reset: what the agent does not read would hide an ordinary
        // close from it, and stay with our kernel (tcp(7), SO_LINGER in socket(7)).
        stream.set_zero_linger().map_err(GuestError::Connect)?;
        within(ANSWER_TIMEOUT, async {
            Ok(frame::write(&mut stream, Kind::Request, &payload).await?)
        })
        .await?;
        Ok(stream)
    }

    /// One question, one answer. Of work that takes a while the agent says that it goes
    /// on, but no more often than once a second.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        operation: Operation,
        limit: Duration,
    ) -> Result<Held<T>, GuestError> {
        within(limit, async {
            let mut stream = self.open(operation).await?;
            let mut frames = Frames::whole(&self.account);
            let mut beats = 0;
            let frame = loop {
                let frame = within(ANSWER_TIMEOUT, frames.next(&mut stream)).await?;
                let is_beat = frame.kind == Kind::Data && frame.payload.is_empty();
                if !is_beat || beats == limit.as_secs() {
                    break frame;
                }
                beats += 1;
            };
            let charge = frames::charge(&self.account, frame.payload.len(), EACH_BYTE_READ)?;
            Ok(Held::new(reply(&frame)?, charge))
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
    pub async fn list(&self, path: &str) -> Result<Held<Vec<Entry>>, GuestError> {
        let limits = Most { bytes: MAX_LISTING_BYTES, values: MAX_DIR_ENTRIES };
        let operation = Operation::List { path: path.to_owned() };
        let entries = within(LIST_TIMEOUT, lines::all::<Entry>(self, operation, limits)).await?;
        if entries.iter().any(|entry| entry.name.len() > MAX_NAME_BYTES) {
            return Err(GuestError::TooLarge { limit_bytes: MAX_NAME_BYTES });
        }
        // Whoever copies a tree by its listing would leave it by such a name.
        if let Some(entry) = entries.iter().find(|entry| !is_name(&entry.name)) {
            return Err(GuestError::NoName(crate::quote(&entry.name)));
        }
        Ok(entries)
    }

    /// One entry; links are not followed.
    ///
    /// # Errors
    /// [`GuestError::Failed`] when it is missing; any other [`GuestError`].
    pub async fn stat(&self, path: &str) -> Result<Held<Entry>, GuestError> {
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
    pub async fn ports(&self) -> Result<Held<Vec<Listener>>, GuestError> {
        let listeners = self.ask::<Listeners>(Operation::Ports, ANSWER_TIMEOUT).await?;
        Ok(listeners.map(|listeners| listeners.listeners))
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
                    reply::<Done>(&Frames::whole(&self.account).next(&mut stream).await?)?;
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

/// Whether a directory can hold an entry of that name.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_into_a_frame_is_the_clients_doing() {
        let refusal = PublicError::from(&GuestError::TooMuch { bytes: MAX_PAYLOAD_BYTES + 1 });
        assert_eq!(refusal.code, Code::TooLarge);
        assert!(refusal.to_string().contains("262144"), "{refusal}");
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["a", "...", ".profile", "a\\b", "ü"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "/", "../..", "a/b", "a\0b"] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
