//! All lanes, by sandbox.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pando_types::SandboxId;
use tokio::time::Instant;

use super::Lane;
use crate::limits::Limits;

/// The lanes in use, or used a moment ago.
#[derive(Debug)]
pub(crate) struct Lanes {
    limits: Limits,
    kept_in_all: Arc<AtomicUsize>,
    lanes: Mutex<HashMap<SandboxId, Arc<Lane>>>,
}

impl Lanes {
    /// No lanes.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limits: *limits, kept_in_all: Arc::default(), lanes: Mutex::default() }
    }

    /// The way into `sandbox` as it is now, at `now`.
    pub(crate) fn of(&self, sandbox: SandboxId, now: Instant) -> Arc<Lane> {
        let lane =
            Arc::clone(self.lock().entry(sandbox).or_insert_with(|| {
                Arc::new(Lane::new(&self.limits, Arc::clone(&self.kept_in_all)))
            }));
        lane.lock().last_used = now;
        lane
    }

    /// Ends all that leads into `sandbox`.
    pub(crate) fn forget(&self, sandbox: SandboxId) {
        let lane = self.lock().remove(&sandbox);
        if let Some(lane) = lane {
            lane.end();
        }
    }

    /// Closes what at `now` was kept for too long, lets go of what the apps closed, and
    /// drops lanes that nobody uses.
    pub(crate) fn sweep(&self, now: Instant) {
        let idle_limit = self.limits.pool_idle;
        self.lock().retain(|_, lane| {
            lane.drop_kept(|idle| idle.is_fresh(now, idle_limit));
            // Nobody else can come to hold it: that takes this map's lock.
            Arc::strong_count(lane) > 1 || lane.lock().is_in_use(now)
        });
    }

    /// Closes every kept connection.
    pub(crate) fn close_kept(&self) {
        for lane in self.lock().values() {
            lane.drop_kept(|_| false);
        }
    }

    /// Ends every tunnel and stream of events.
    pub(crate) fn end_streams(&self) {
        for lane in self.lock().values() {
            lane.streams.come();
        }
    }

    /// Ends every connection.
    pub(crate) fn end_all(&self) {
        for lane in self.lock().values() {
            lane.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SandboxId, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Refused;
    use super::*;
    use crate::limits::LANE_QUIET;
    use std::num::NonZeroU32;

    fn lanes(limits: Limits) -> Lanes {
        Lanes::new(&limits)
    }

    #[test]
    fn a_lane_is_dropped_when_nobody_uses_it() {
        let lanes = lanes(Limits::default());
        let sandbox = SandboxId::new();
        let used = lanes.of(sandbox, Instant::now());
        lanes.sweep(Instant::now() + 2 * LANE_QUIET);
        assert!(Arc::ptr_eq(&used, &lanes.of(sandbox, Instant::now())));
        drop(used);
        lanes.sweep(Instant::now() + 2 * LANE_QUIET);
        assert!(lanes.lock().is_empty());
    }

    #[test]
    fn a_forgotten_sandbox_gets_a_new_lane() {
        let lanes = lanes(Limits::default());
        let (sandbox, other) = (SandboxId::new(), lanes.of(SandboxId::new(), Instant::now()));
        let old = lanes.of(sandbox, Instant::now());
        lanes.forget(sandbox);
        assert!(old.is_over() && old.streams.has_come());
        assert!(!lanes.of(sandbox, Instant::now()).is_over() && !other.is_over());
    }

    #[test]
    fn so_many_at_once_and_no_more() {
        let lanes = lanes(Limits { app_requests_at_once: 2, ..Limits::default() });
        let lane = lanes.of(SandboxId::new(), Instant::now());
        let _first = lane.enter().unwrap();
        let second = lane.enter().unwrap();
        assert_eq!(lane.enter().unwrap_err(), Refused::TooMany(2));
        assert!(lanes.of(SandboxId::new(), Instant::now()).enter().is_ok());
        drop(second);
        assert!(lane.enter().is_ok());
    }

    #[test]
    fn so_many_lately_and_no_more() {
        let lanes = lanes(Limits {
            app_requests_per_sec: NonZeroU32::MIN,
            app_request_burst: NonZeroU32::new(3).unwrap(),
            ..Limits::default()
        });
        let lane = lanes.of(SandboxId::new(), Instant::now());
        let outcomes: Vec<_> = (0..20).map(|_| lane.enter().map(drop)).collect();
        assert_eq!(outcomes[..3], [Ok(()); 3]);
        let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert!(refused > 0, "{outcomes:?}");
        let early = outcomes.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(early, Refused::TooFast { retry_secs: 1..=2 }), "{early:?}");
        assert!(lanes.of(SandboxId::new(), Instant::now()).enter().is_ok());
    }
}
