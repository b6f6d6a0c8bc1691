//! Everything that leads into one sandbox: its kept connections, what is under
//! way, its share of requests, and the means to end all of it.
//!
//! A lane is found by one look into a map, and is gone when nobody used it for a
//! while. When its sandbox has ended it is taken out of the map and ended: what is
//! under way breaks off, and the next request begins a new lane. When its sandbox is to
//! sleep it is closed first: what is under way may end by itself.

mod admission;
mod kept;
mod lanes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

pub(crate) use admission::{Refused, Visit};
pub(crate) use lanes::Lanes;

use crate::client::WorkerId;
use crate::end::End;
use crate::limits::{LANE_QUIET, Limits, POOL_MAX, POOL_MAX_PER_SANDBOX};
use crate::wire::{Cutter, Wire};
use admission::Admission;
use kept::Kept;

/// The way into one sandbox.
#[derive(Debug)]
pub(crate) struct Lane {
    admission: Admission,
    /// Comes when nothing new may be sent this way.
    pub over: End,
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
    /// What cuts each connection, kept or in use; and those of some that are gone.
    cutters: Vec<Cutter>,
    /// The number of cutters at which those are let go of.
    prune_at: usize,
}

/// The number of cutters among which it is not worth to look for old ones.
const FEW_CUTTERS: usize = 16;

impl State {
    fn is_in_use(&self, now: Instant) -> bool {
        self.kept.len() > 0 || now.saturating_duration_since(self.last_used) < LANE_QUIET
    }
}

/// The right to keep a connection to `port` once its exchange is over.
#[derive(Debug)]
pub(crate) struct Lease {
    lane: Arc<Lane>,
    port: u16,
    worker: WorkerId,
}

impl Lease {
    /// Keeps `wire` for the next request.
    pub(crate) fn keep(self, wire: Wire) {
        let all = &self.lane.kept_in_all;
        let mut state = self.lane.lock();
        // Under the lock that ending takes, too: nothing is kept after it.
        let has_room = state.kept.len() < POOL_MAX_PER_SANDBOX
            && all.load(Ordering::Relaxed) < POOL_MAX
            && !self.lane.is_over();
        if has_room {
            state.kept.push(self.port, self.worker, wire);
            all.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Lane {
    fn new(limits: &Limits, kept_in_all: Arc<AtomicUsize>) -> Self {
        Self {
            admission: Admission::new(limits),
            over: End::default(),
            streams: End::default(),
            connections: End::default(),
            state: Mutex::new(State {
                kept: Kept::default(),
                last_used: Instant::now(),
                cutters: Vec::new(),
                prune_at: FEW_CUTTERS,
            }),
            idle_limit: limits.pool_idle,
            kept_in_all,
        }
    }

    /// Lets one more request in; `uses` unless it only looks.
    ///
    /// # Errors
    /// [`Refused`] if the sandbox has its share.
    pub(crate) fn enter(self: &Arc<Self>, uses: bool) -> Result<Visit, Refused> {
        self.admission.enter(self, uses)
    }

    /// A connection to `port` that `worker` kept and that is ready at `now`, the
    /// latest used first.
    pub(crate) fn take(&self, port: u16, worker: WorkerId, now: Instant) -> Option<Wire> {
        let wire = self.lock().kept.take(port, worker, now, self.idle_limit)?;
        self.kept_in_all.fetch_sub(1, Ordering::Relaxed);
        Some(wire)
    }

    /// Makes a stream that was opened to the sandbox a connection that ends with it.
    pub(crate) fn adopt(&self, stream: TcpStream) -> Wire {
        let wire = Wire::new(stream);
        let mut state = self.lock();
        if state.cutters.len() >= state.prune_at {
            state.cutters.retain(|cutter| !cutter.is_done());
            state.prune_at = (2 * state.cutters.len()).max(FEW_CUTTERS);
        }
        state.cutters.push(wire.cutter());
        if self.connections.has_come() {
            wire.cutter().cut();
        }
        wire
    }

    /// What keeps a connection of `worker` to `port` after its exchange.
    pub(crate) fn lease(self: &Arc<Self>, port: u16, worker: WorkerId) -> Lease {
        Lease { lane: Arc::clone(self), port, worker }
    }

    /// Whether the sandbox has ended or falls asleep: nothing new may be sent this way.
    pub(crate) fn is_over(&self) -> bool {
        self.over.has_come()
    }

    /// Whether anything that uses it is under way, or was since this was last asked.
    fn was_used(&self) -> bool {
        self.admission.was_used()
    }

    /// How much is under way, or waits to be.
    fn under_way(&self) -> usize {
        self.admission.inside()
    }

    /// Returns when nothing is under way; for one who closed it.
    async fn emptied(&self) {
        self.admission.emptied().await;
    }

    /// Lets nothing new be sent this way. What is under way goes on.
    fn close(&self) {
        self.over.come();
        self.drop_kept(|_| false);
    }

    /// Ends all that leads into the sandbox. Streams of events go first, so that
    /// they end rather than break.
    fn end(&self) {
        self.over.come();
        self.streams.come();
        self.connections.come();
        self.drop_kept(|_| false);
        for cutter in self.lock().cutters.drain(..) {
            cutter.cut();
        }
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
