//! Unused connections to apps, kept for a moment.
//!
//! Only requests that could be repeated ride on a kept connection (`forward`
//! decides): the app may be closing it at that very instant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use pando_types::SandboxId;
use tokio::time::Instant;

use crate::body::Upload;
use crate::limits::{POOL_MAX, POOL_MAX_PER_TARGET};

/// A port of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub sandbox: SandboxId,
    pub port: u16,
}

/// The pool. What it holds is closed by dropping it.
#[derive(Debug)]
pub(crate) struct Pool {
    idle_limit: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: HashMap<Target, Vec<Idle>>,
    count: usize,
    /// Grows with each [`Pool::forget`]: a connection that was opened before is
    /// not kept after, for it may lead into a sandbox that is no more.
    age: u64,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

/// A connection in use; [`Lease::give_back`] returns it, dropping it closes it.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    target: Target,
    age: u64,
    sender: SendRequest<Upload>,
}

impl Lease {
    pub(crate) fn sender(&mut self) -> &mut SendRequest<Upload> {
        &mut self.sender
    }

    /// Keeps the connection for the next request. Its exchange must be over.
    pub(crate) fn give_back(self) {
        let mut state = self.pool.lock();
        if self.sender.is_closed() || self.age != state.age || state.count >= POOL_MAX {
            return;
        }
        let idle = state.idle.entry(self.target).or_default();
        if idle.len() >= POOL_MAX_PER_TARGET {
            return;
        }
        idle.push(Idle { sender: self.sender, since: Instant::now() });
        state.count += 1;
    }
}

impl Pool {
    pub(crate) fn new(idle_limit: Duration) -> Arc<Self> {
        Arc::new(Self { idle_limit, state: Mutex::default() })
    }

    /// A kept connection that is ready now, the latest used first.
    pub(crate) fn take(self: &Arc<Self>, target: Target) -> Option<Lease> {
        let mut state = self.lock();
        let idle = state.idle.get_mut(&target)?;
        let usable = |idle: &Idle| idle.sender.is_ready() && idle.since.elapsed() < self.idle_limit;
        let at = idle.iter().rposition(usable)?;
        let sender = idle.remove(at).sender;
        if idle.is_empty() {
            state.idle.remove(&target);
        }
        state.count -= 1;
        Some(Lease { pool: Arc::clone(self), target, age: state.age, sender })
    }

    /// Names a new connection, so that it can be kept after its first exchange.
    /// `age` is what [`Pool::age`] said before it was opened.
    pub(crate) fn lease(
        self: &Arc<Self>,
        target: Target,
        age: u64,
        sender: SendRequest<Upload>,
    ) -> Lease {
        Lease { pool: Arc::clone(self), target, age, sender }
    }

    pub(crate) fn age(&self) -> u64 {
        self.lock().age
    }

    /// Closes what leads to `sandbox`, now or when its exchange is over.
    pub(crate) fn forget(&self, sandbox: SandboxId) {
        let mut state = self.lock();
        state.age += 1;
        state.keep(|target, _| target.sandbox != sandbox);
    }

    /// Closes what has been unused for too long, and lets go of what the apps closed.
    pub(crate) fn sweep(&self) {
        self.lock()
            .keep(|_, idle| !idle.sender.is_closed() && idle.since.elapsed() < self.idle_limit);
    }

    /// Closes everything and keeps nothing that is in use.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.age += 1;
        state.keep(|_, _| false);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, wanted: impl Fn(&Target, &Idle) -> bool) {
        self.idle.retain(|target, idle| {
            idle.retain(|idle| wanted(target, idle));
            !idle.is_empty()
        });
        self.count = self.idle.values().map(Vec::len).sum();
    }
}
