//! All lanes, by sandbox.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use pando_types::SandboxId;
use tokio::time::{Instant, timeout};

use super::Lane;
use crate::limits::Limits;

/// The lanes in use, or used a moment ago.
#[derive(Debug)]
pub(crate) struct Lanes {
    limits: Limits,
    kept_in_all: Arc<AtomicUsize>,
    lanes: Mutex<HashMap<SandboxId, Ways>>,
}

/// What leads into one sandbox.
#[derive(Debug, Default)]
struct Ways {
    /// For what comes now.
    open: Option<Arc<Lane>>,
    /// Those that were closed, on which something may still be under way.
    closed: Vec<Arc<Lane>>,
}

impl Ways {
    fn all(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.open.iter().chain(&self.closed)
    }
}

impl Lanes {
    /// No lanes.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limits: *limits, kept_in_all: Arc::default(), lanes: Mutex::default() }
    }

    /// The way into `sandbox` as it is now, at `now`.
    pub(crate) fn of(&self, sandbox: SandboxId, now: Instant) -> Arc<Lane> {
        let lane = {
            let mut lanes = self.lock();
            let new = || Arc::new(Lane::new(&self.limits, Arc::clone(&self.kept_in_all)));
            Arc::clone(lanes.entry(sandbox).or_default().open.get_or_insert_with(new))
        };
        lane.lock().last_used = now;
        lane
    }

    /// Ends all that leads into `sandbox`.
    pub(crate) fn forget(&self, sandbox: SandboxId) {
        let ways = self.lock().remove(&sandbox);
        if let Some(ways) = ways {
            ways.all().for_each(|lane| lane.end());
        }
    }

    /// Lets what comes from now on find another lane into `sandbox`; what is under way
    /// goes on.
    pub(crate) fn close(&self, sandbox: SandboxId) {
        if let Some(ways) = self.lock().get_mut(&sandbox)
            && let Some(lane) = ways.open.take()
        {
            lane.close();
            ways.closed.push(lane);
        }
    }

    /// Returns when nothing is under way on the lanes that were closed; what is after
    /// `grace` is cut.
    pub(crate) async fn clear(&self, sandbox: SandboxId, grace: Duration) {
        let closed = match self.lock().get(&sandbox) {
            Some(ways) => ways.closed.clone(),
            None => return,
        };
        let emptied = join_all(closed.iter().map(|lane| lane.emptied()));
        let in_time = timeout(grace, emptied).await.is_ok();
        closed.iter().for_each(|lane| lane.end());
        if !in_time {
            tracing::debug!(sandbox = sandbox.short(), "cut what did not end before its sleep");
        }
        if let Some(ways) = self.lock().get_mut(&sandbox) {
            ways.closed.retain(|lane| !closed.iter().any(|ended| Arc::ptr_eq(lane, ended)));
        }
    }

    /// How much is under way into `sandbox`, or waits to be.
    pub(crate) fn under_way(&self, sandbox: SandboxId) -> usize {
        let lanes = self.lock();
        lanes.get(&sandbox).map_or(0, |ways| ways.all().map(|lane| lane.under_way()).sum())
    }

    /// Whether anything is under way into `sandbox`, or was since this was last asked.
    pub(crate) fn was_used(&self, sandbox: SandboxId) -> bool {
        let lanes = self.lock();
        // Each is asked: what was noted counts once.
        let used = |ways: &Ways| ways.all().filter(|lane| lane.was_used()).count() > 0;
        lanes.get(&sandbox).is_some_and(used)
    }

    /// Closes what at `now` was kept for too long, lets go of what the apps closed, and
    /// drops lanes that nobody uses. Returns the sandboxes that were used since the last
    /// time.
    pub(crate) fn sweep(&self, now: Instant) -> Vec<SandboxId> {
        let idle_limit = self.limits.pool_idle;
        // Nobody else can come to hold one: that takes this map's lock.
        let is_held = |lane: &Arc<Lane>| Arc::strong_count(lane) > 1;
        let mut used = Vec::new();
        self.lock().retain(|sandbox, ways| {
            if ways.all().filter(|lane| lane.was_used()).count() > 0 {
                used.push(*sandbox);
            }
            ways.closed.retain(is_held);
            ways.open.take_if(|lane| {
                lane.drop_kept(|idle| idle.is_fresh(now, idle_limit));
                !is_held(lane) && !lane.lock().is_in_use(now)
            });
            ways.all().next().is_some()
        });
        used
    }

    /// Closes every kept connection.
    pub(crate) fn close_kept(&self) {
        for lane in self.lock().values().flat_map(Ways::all) {
            lane.drop_kept(|_| false);
        }
    }

    /// Ends every tunnel and stream of events.
    pub(crate) fn end_streams(&self) {
        for lane in self.lock().values().flat_map(Ways::all) {
            lane.streams.come();
        }
    }

    /// Ends every connection.
    pub(crate) fn end_all(&self) {
        for lane in self.lock().values().flat_map(Ways::all) {
            lane.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SandboxId, Ways>> {
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

    #[tokio::test]
    async fn a_closed_lane_keeps_what_is_under_way_and_takes_no_more() {
        let lanes = lanes(Limits::default());
        let sandbox = SandboxId::new();
        let visit = lanes.of(sandbox, Instant::now()).enter(true).unwrap();
        lanes.close(sandbox);
        assert!(visit.lane().is_over() && !visit.lane().connections.has_come());
        let waiting = lanes.of(sandbox, Instant::now()).enter(true).unwrap();
        assert!(!waiting.lane().is_over());
        assert_eq!(lanes.under_way(sandbox), 2);
        let clear = lanes.clear(sandbox, Duration::from_secs(60));
        tokio::pin!(clear);
        assert!(futures_util::poll!(&mut clear).is_pending());
        drop(visit);
        clear.await;
        // Whoever waits for the next machine is none of theirs.
        assert!(!waiting.lane().is_over());
        assert_eq!(lanes.under_way(sandbox), 1);
    }

    #[test]
    fn what_only_looks_is_no_use() {
        let lanes = lanes(Limits::default());
        let sandbox = SandboxId::new();
        let look = lanes.of(sandbox, Instant::now()).enter(false).unwrap();
        assert_eq!((lanes.under_way(sandbox), lanes.was_used(sandbox)), (1, false));
        drop(look);
        drop(lanes.of(sandbox, Instant::now()).enter(true).unwrap());
        assert!(lanes.was_used(sandbox) && !lanes.was_used(sandbox));
        let visit = lanes.of(sandbox, Instant::now()).enter(true).unwrap();
        lanes.close(sandbox);
        assert!(lanes.was_used(sandbox) && lanes.was_used(sandbox));
        assert_eq!(lanes.sweep(Instant::now()), [sandbox]);
        // Its end is use, too.
        drop(visit);
        assert!(lanes.was_used(sandbox) && !lanes.was_used(sandbox));
    }

    #[tokio::test]
    async fn what_does_not_end_in_time_is_cut_and_a_forgotten_one_at_once() {
        let lanes = lanes(Limits::default());
        let sandbox = SandboxId::new();
        let visit = lanes.of(sandbox, Instant::now()).enter(true).unwrap();
        lanes.close(sandbox);
        lanes.clear(sandbox, Duration::from_millis(5)).await;
        assert!(visit.lane().connections.has_come());
        let visit = lanes.of(sandbox, Instant::now()).enter(true).unwrap();
        lanes.close(sandbox);
        lanes.forget(sandbox);
        assert!(visit.lane().connections.has_come());
    }

    #[test]
    fn so_many_at_once_and_no_more() {
        let lanes = lanes(Limits { app_requests_at_once: 2, ..Limits::default() });
        let lane = lanes.of(SandboxId::new(), Instant::now());
        let _first = lane.enter(true).unwrap();
        let second = lane.enter(true).unwrap();
        assert_eq!(lane.enter(true).unwrap_err(), Refused::TooMany(2));
        assert!(lanes.of(SandboxId::new(), Instant::now()).enter(true).is_ok());
        drop(second);
        assert!(lane.enter(true).is_ok());
    }

    #[test]
    fn so_many_lately_and_no_more() {
        let lanes = lanes(Limits {
            app_requests_per_sec: NonZeroU32::MIN,
            app_request_burst: NonZeroU32::new(3).unwrap(),
            ..Limits::default()
        });
        let lane = lanes.of(SandboxId::new(), Instant::now());
        let outcomes: Vec<_> = (0..20).map(|_| lane.enter(true).map(drop)).collect();
        assert_eq!(outcomes[..3], [Ok(()); 3]);
        let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert!(refused > 0, "{outcomes:?}");
        let early = outcomes.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(early, Refused::TooFast { retry_secs: 1..=2 }), "{early:?}");
        assert!(lanes.of(SandboxId::new(), Instant::now()).enter(true).is_ok());
    }
}
