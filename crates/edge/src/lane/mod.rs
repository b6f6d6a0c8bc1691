//! Everything that leads into one sandbox: its kept connections, what is under
//! way, its share of requests, and the means to end all of it.
//!
//! A lane is found by one look into a map, and is gone when nobody used it for a
//! while. When its sandbox has ended it is taken out of the map and ended: what is
//! under way breaks off, and the next request begins a new lane.

mod admission;
mod kept;
mod lanes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

pub(crate) use admission::{Refused, Visit};
pub(crate) use lanes::Lanes;

use crate::body::Upload;
use crate::end::End;
use crate::limits::{LANE_QUIET, Limits, POOL_MAX, POOL_MAX_PER_SANDBOX};
use admission::Admission;
use kept::Kept;

/// The way into one sandbox.
#[derive(Debug)]
pub(crate) struct Lane {
    admission: Admission,
    /// Ends what has no end of its own: tunnels and streams of events.
    pub streams: End,
    /// Ends every connection into the sandbox.
    pub connections: End,
    state: Mutex<State>,
    idle_limit: Duration,
    /// How many connections are kept in all lanes.
    kept_in_all: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct State {
    kept: Kept,
    last_used: Instant,
}

impl State {
    fn is_in_use(&self, now: Instant) -> bool {
        self.kept.len() > 0 || now.saturating_duration_since(self.last_used) < LANE_QUIET
    }
}

/// A connection in use; [`Lease::give_back`] returns it, dropping it closes it.
#[derive(Debug)]
pub(crate) struct Lease {
    lane: Arc<Lane>,
    port: u16,
    sender: SendRequest<Upload>,
}

impl Lease {
    pub(crate) fn sender(&mut self) -> &mut SendRequest<Upload> {
        &mut self.sender
    }

    /// Keeps the connection for the next request. Its exchange must be over.
    pub(crate) fn give_back(self) {
        if self.sender.is_closed() || self.lane.is_over() {
            return;
        }
        let all = &self.lane.kept_in_all;
        let mut state = self.lane.lock();
        if state.kept.len() < POOL_MAX_PER_SANDBOX && all.load(Ordering::Relaxed) < POOL_MAX {
            state.kept.push(self.port, self.sender);
            all.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Lane {
    fn new(limits: &Limits, kept_in_all: Arc<AtomicUsize>) -> Self {
        Self {
            admission: Admission::new(limits),
            streams: End::default(),
            connections: End::default(),
            state: Mutex::new(State { kept: Kept::default(), last_used: Instant::now() }),
            idle_limit: limits.pool_idle,
            kept_in_all,
        }
    }

    /// Lets one more request in.
    ///
    /// # Errors
    /// [`Refused`] if the sandbox has its share.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Visit, Refused> {
        self.admission.enter(self)
    }

    /// A kept connection to `port` that is ready at `now`, the latest used first.
    pub(crate) fn take(self: &Arc<Self>, port: u16, now: Instant) -> Option<Lease> {
        let sender = self.lock().kept.take(port, now, self.idle_limit)?;
        self.kept_in_all.fetch_sub(1, Ordering::Relaxed);
        Some(Lease { lane: Arc::clone(self), port, sender })
    }

    /// Names a new connection, so that it can be kept after its first exchange.
    pub(crate) fn lease(self: &Arc<Self>, port: u16, sender: SendRequest<Upload>) -> Lease {
        Lease { lane: Arc::clone(self), port, sender }
    }

    /// Whether the sandbox has ended: nothing new may be sent this way.
    pub(crate) fn is_over(&self) -> bool {
        self.connections.has_come()
    }

    /// Ends all that leads into the sandbox. Streams of events go first, so that
    /// they end rather than break.
    fn end(&self) {
        self.streams.come();
        self.connections.come();
        self.drop_kept(|_| false);
    }

    /// Closes the kept connections that are not `wanted`.
    fn drop_kept(&self, wanted: impl Fn(&kept::Idle) -> bool) {
        let dropped = self.lock().kept.keep(wanted);
        self.kept_in_all.fetch_sub(dropped, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
