//! The client of one connection: its address, its place, the thread that serves it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::HeaderValue;
use tokio::sync::OwnedSemaphorePermit;

use crate::socket::Conversation;

/// Who sends a connection's requests.
#[derive(Debug)]
pub(crate) struct Client {
    /// The address as apps are told it.
    pub address_line: HeaderValue,
    /// The connection's place among all.
    pub slot: ConnectionSlot,
    /// The thread that serves it.
    pub worker: WorkerId,
    /// What is said on it.
    pub conversation: Arc<Conversation>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, slot: ConnectionSlot, worker: WorkerId) -> Self {
        let address = address.ip().to_canonical().to_string();
        // An address is made of digits, letters, dots and colons.
        let address_line =
            HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("unknown"));
        Self { address_line, slot, worker, conversation: Arc::default() }
    }
}

/// Names one of the threads that serve connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerId(pub usize);

/// A connection's place among [`crate::limits::MAX_CONNECTIONS`] and among those of
/// its thread; free again when the connection, and the tunnel that it may become, are
/// over.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSlot {
    _held: Arc<(OwnedSemaphorePermit, Share)>,
}

impl ConnectionSlot {
    pub(crate) fn new(permit: OwnedSemaphorePermit, load: &Arc<Load>) -> Self {
        Self { _held: Arc::new((permit, Share::of(load))) }
    }
}

/// The connections that a thread has.
#[derive(Debug, Default)]
pub(crate) struct Load(AtomicUsize);

impl Load {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of them; its drop takes it off.
#[derive(Debug)]
struct Share(Arc<Load>);

impl Share {
    fn of(load: &Arc<Load>) -> Self {
        load.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
