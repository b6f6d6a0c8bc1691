//! How much one sandbox is asked: so many requests a second, so many at once.
//!
//! The share is the sandbox's, whichever of its hosts is used: what is protected
//! is one machine, and its neighbours on the same edge. So an app has its share,
//! and the state is bounded by the sandboxes there are, not by the names that a
//! client can think of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

use super::Lane;
use crate::limits::Limits;

/// The share of one sandbox and what is used of it.
#[derive(Debug)]
pub(super) struct Admission {
    rate: DefaultDirectRateLimiter,
    clock: DefaultClock,
    at_once: usize,
    inside: AtomicUsize,
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
pub(crate) struct Visit(Arc<Lane>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.admission.inside.fetch_sub(1, Ordering::AcqRel);
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
        }
    }

    /// Lets one more into `lane`, whose admission this is.
    pub(super) fn enter(&self, lane: &Arc<Lane>) -> Result<Visit, Refused> {
        // Counted before it is judged: two at the same instant cannot both be the last.
        let visit = Visit(Arc::clone(lane));
        if self.inside.fetch_add(1, Ordering::AcqRel) >= self.at_once {
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
