//! One slot: a namespace, entered by a thread of its own.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use pando_guest_protocol::GUEST_ADDRESS;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Which slot of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotNumber(u32);

impl SlotNumber {
    /// The slot of that number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SlotNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A slot that exists.
#[derive(Debug)]
pub struct Slot {
    number: SlotNumber,
    namespace: OwnedFd,
}

impl Slot {
    pub(super) fn new(number: SlotNumber, namespace: OwnedFd) -> Self {
        Self { number, namespace }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> SlotNumber {
        self.number
    }

    /// Its network namespace.
    #[must_use]
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Runs `work` inside the namespace, on a thread that ends with it: a thread
    /// that has entered a namespace is of no use for anything else.
    ///
    /// # Errors
    /// When there is no thread to be had, or the namespace cannot be entered.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, || {
                move_into_link_name_space(self.namespace(), Some(LinkNameSpaceType::Network))?;
                work()
            })?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }

    /// A connection to a port of the guest's own address. The socket is made
    /// inside the namespace and stays there; everything else happens outside.
    ///
    /// # Errors
    /// What `connect` said; `TimedOut` after `limit`.
    pub async fn connect(&self, port: u16, limit: Duration) -> io::Result<TcpStream> {
        let address: Ipv4Addr = GUEST_ADDRESS.parse().map_err(io::Error::other)?;
        let socket = self.enter(TcpSocket::new_v4)?;
        let connecting = socket.connect(SocketAddr::from((address, port)));
        timeout(limit, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
