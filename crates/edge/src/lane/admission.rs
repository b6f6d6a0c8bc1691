//! How much one sandbox is asked: so many requests a second, so many at once.
//!
//! The share is the sandbox's, whichever of its hosts is used: what is protected
//! is one machine, and its neighbours on the same edge. So an app has its share,
//! and the state is bounded by the sandboxes there are, not by the names that a
//! client can think of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::Notify;

use super::Lane;
use crate::limits::Limits;

/// The share of one sandbox and what is used of it.
#[derive(Debug)]
pub(super) struct Admission {
    rate: DefaultDirectRateLimiter,
    clock: DefaultClock,
    at_once: usize,
    inside: AtomicUsize,
    /// Those of them that do more than look.
    using: AtomicUsize,
    /// Whether such a one was inside since this was last looked at.
    used: AtomicBool,
    /// Told when the last one leaves a lane that is over.
    left: Notify,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many lately; so many seconds make room for the next.
    TooFast { retry_secs: u32 },
    /// So many are under way.
    TooMany(usize),
}

/// A request or a tunnel under way; dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Visit {
    lane: Arc<Lane>,
    uses: bool,
}

impl Visit {
    /// Where it is.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Whether it is more than a look.
    pub(crate) fn uses(&self) -> bool {
        self.uses
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let admission = &self.lane.admission;
        if self.uses {
            // In this order: at no moment is it neither inside nor noted.
            admission.used.store(true, Ordering::SeqCst);
            admission.using.fetch_sub(1, Ordering::SeqCst);
        }
        // One order with `Lane::close`: whoever closes sees this one leave, or is told.
        if admission.inside.fetch_sub(1, Ordering::SeqCst) == 1 && self.lane.is_over() {
            admission.left.notify_one();
        }
    }
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let quota =
            Quota::per_second(limits.app_requests_per_sec).allow_burst(limits.app_request_burst);
        Self {
            rate: DefaultDirectRateLimiter::direct(quota),
            clock: DefaultClock::default(),
            at_once: limits.app_requests_at_once,
            inside: AtomicUsize::new(0),
            using: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            left: Notify::new(),
        }
    }

    /// Whether anybody is inside who does more than look, or was since this was last asked.
    pub(super) fn was_used(&self) -> bool {
        // In this order: who leaves in between has noted it before.
        let is_inside = self.using.load(Ordering::SeqCst) > 0;
        self.used.swap(false, Ordering::SeqCst) || is_inside
    }

    /// How many are under way.
    pub(super) fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    /// Returns when none is, in a lane that is over; for one who waits.
    pub(super) async fn emptied(&self) {
        while self.inside() > 0 {
            self.left.notified().await;
        }
    }

    /// Lets one more into `lane`, whose admission this is.
    pub(super) fn enter(&self, lane: &Arc<Lane>, uses: bool) -> Result<Visit, Refused> {
        if uses {
            self.using.fetch_add(1, Ordering::SeqCst);
        }
        // Counted before it is judged: two at the same instant cannot both be the last.
        let visit = Visit { lane: Arc::clone(lane), uses };
        // And in one order with the lane's end: `Lane::close` counts it, or it sees the end.
        if self.inside.fetch_add(1, Ordering::SeqCst) >= self.at_once {
            return Err(Refused::TooMany(self.at_once));
        }
        self.rate.check().map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            let retry_secs = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            Refused::TooFast { retry_secs }
        })?;
        Ok(visit)
    }
}
