//! Unused connections to one sandbox, kept for a moment.
//!
//! Only requests that could be repeated ride on a kept connection (`forward`
//! decides): the app may be closing it at that very instant.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::WorkerId;
use crate::wire::Wire;

/// The connections, the latest used last. Few enough to be looked through.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<Idle>);

/// One of them; dropping it closes it.
#[derive(Debug)]
pub(super) struct Idle {
    port: u16,
    /// Whose event loop the connection belongs to.
    worker: WorkerId,
    wire: Wire,
    since: Instant,
}

impl Idle {
    /// Whether it can still be used at `now`.
    pub(super) fn is_fresh(&self, now: Instant, idle_limit: Duration) -> bool {
        now.saturating_duration_since(self.since) < idle_limit && self.wire.is_silent()
    }
}

impl Kept {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, port: u16, worker: WorkerId, wire: Wire) {
        self.0.push(Idle { port, worker, wire, since: Instant::now() });
    }

    /// Takes out the latest used that `worker` has to `port` and is ready at `now`.
    pub(super) fn take(
        &mut self,
        port: u16,
        worker: WorkerId,
        now: Instant,
        idle_limit: Duration,
    ) -> Option<Wire> {
        let usable = |idle: &Idle| {
            (idle.port, idle.worker) == (port, worker) && idle.is_fresh(now, idle_limit)
        };
        let at = self.0.iter().rposition(usable)?;
        Some(self.0.remove(at).wire)
    }

    /// Drops what is not `wanted`; returns how many that were.
    pub(super) fn keep(&mut self, wanted: impl Fn(&Idle) -> bool) -> usize {
        let before = self.0.len();
        self.0.retain(wanted);
        before - self.0.len()
    }
}
