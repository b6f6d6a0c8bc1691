//! When a sandbox has been idle for long enough to sleep. Pure: no clock, no I/O.
//!
//! It is looked at a few times within its time. Whatever a look sees of use (visitors,
//! sessions of its agent, processors that work) is taken for use at that moment; a
//! sandbox that nobody used, and that did nothing, for all of its time may sleep. A
//! lease keeps it awake for as long as it lasts, whatever is seen.

use std::time::Duration;

use pando_types::Timestamp;
use pando_vm::sys::process::Work;

/// How often it is looked at within its time.
pub(crate) const LOOKS: u32 = 4;
/// How much of one core a guest that does nothing may take, in percent. Without hardware
/// virtualization an idle Linux takes less than one.
const CPU_FLOOR_PERCENT: u32 = 5;
/// How much of one core a guest wants that works and gets none of it, on a host that has
/// more to do than it can: what it ran and what it waited for, in percent.
const WANTED_FLOOR_PERCENT: u32 = 50;

/// What was seen of a sandbox so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idle {
    timeout: Duration,
    /// When it was last in use, as far as was seen.
    used: Timestamp,
    /// When its processors were last looked at, and what they had worked then.
    worked: (Timestamp, Work),
}

/// What is seen of a sandbox now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    pub now: Timestamp,
    /// When somebody last asked for it.
    pub last_asked: Timestamp,
    /// Somebody uses it, or has since the look before.
    pub is_used: bool,
    /// What its processors have worked since it was made or woken.
    pub worked: Work,
    /// It may not sleep before.
    pub leased_until: Option<Timestamp>,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may sleep, unless somebody comes first.
    Sleep,
    /// It stays awake; it is worth another look after this.
    Awake { look_in: Duration },
}

impl Idle {
    /// A sandbox that was just made, woken, or given `timeout`.
    pub(crate) fn new(timeout: Duration, now: Timestamp, worked: Work) -> Self {
        Self { timeout, used: now, worked: (now, worked) }
    }

    /// The time between two looks.
    pub(crate) fn step(&self) -> Duration {
        self.timeout / LOOKS
    }

    /// Takes it for used at this moment.
    pub(crate) fn use_now(&mut self, now: Timestamp) {
        self.used = self.used.max(now);
    }

    /// Takes in what is seen, and decides.
    pub(crate) fn look(&mut self, seen: Evidence) -> Verdict {
        let is_working = self.is_working(&seen);
        if seen.is_used || is_working {
            self.used = seen.now;
        }
        self.used = self.used.max(seen.last_asked);
        let quiet = seen.now.since(self.used);
        let leased = seen.leased_until.map_or(Duration::ZERO, |until| until.since(seen.now));
        let left = self.timeout.saturating_sub(quiet).max(leased);
        if left.is_zero() {
            return Verdict::Sleep;
        }
        Verdict::Awake { look_in: left.min(self.step()) }
    }

    /// Judges no span that is too short to tell a moment's work from more.
    fn is_working(&mut self, seen: &Evidence) -> bool {
        let (since, before) = self.worked;
        let span = seen.now.since(since);
        if span < self.step() / 2 {
            return false;
        }
        self.worked = (seen.now, seen.worked);
        let ran = seen.worked.ran.saturating_sub(before.ran);
        let wanted = ran + seen.worked.waited.saturating_sub(before.waited);
        ran > span * CPU_FLOOR_PERCENT / 100 || wanted > span * WANTED_FLOOR_PERCENT / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMEOUT: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_secs(seconds))
    }

    fn seen(seconds: u64) -> Evidence {
        Evidence {
            now: at(seconds),
            last_asked: at(0),
            is_used: false,
            worked: Work::default(),
            leased_until: None,
        }
    }

    fn ran(ran: Duration) -> Work {
        Work { ran, ..Work::default() }
    }

    /// Looks as often as it is told to, until it may sleep; returns when that is.
    fn sleeps_after(limit: u64, evidence: impl Fn(u64) -> Evidence) -> Option<u64> {
        let mut idle = Idle::new(TIMEOUT, at(0), Work::default());
        let (mut now, mut look_in) = (0, idle.step());
        while now < limit {
            now += look_in.as_secs().max(1);
            match idle.look(evidence(now)) {
                Verdict::Sleep => return Some(now),
                Verdict::Awake { look_in: next } => look_in = next,
            }
        }
        None
    }

    #[test]
    fn what_nobody_uses_sleeps_in_its_time() {
        assert_eq!(sleeps_after(10_000, seen), Some(300));
        // A guest that only keeps its own time.
        let idling = |now| Evidence { worked: ran(Duration::from_millis(6 * now)), ..seen(now) };
        assert_eq!(sleeps_after(10_000, idling), Some(300));
        let asked = |now| Evidence { last_asked: at(100), ..seen(now) };
        assert_eq!(sleeps_after(10_000, asked), Some(400));
    }

    #[test]
    fn a_stream_a_worker_and_a_lease_keep_it_awake() {
        let stream = |now| Evidence { is_used: now < 2000, ..seen(now) };
        assert!((2200..=2400).contains(&sleeps_after(10_000, stream).unwrap()));
        let worker =
            |now: u64| Evidence { worked: ran(Duration::from_secs(now.min(1200))), ..seen(now) };
        assert!((1500..=1700).contains(&sleeps_after(10_000, worker).unwrap()));
        let lease = |now| Evidence { leased_until: Some(at(5000)), ..seen(now) };
        assert_eq!(sleeps_after(10_000, lease), Some(5000));
    }

    #[test]
    fn a_worker_that_gets_no_processor_is_no_sleeper() {
        let of_it = |percent: u64| {
            move |now: u64| {
                let waited = Duration::from_millis(now.min(1200) * percent * 10);
                Evidence { worked: Work { ran: Duration::ZERO, waited }, ..seen(now) }
            }
        };
        assert!((1500..=1700).contains(&sleeps_after(10_000, of_it(99)).unwrap()));
        // An idle one has to wait, too, whenever it keeps its time.
        assert_eq!(sleeps_after(10_000, of_it(20)), Some(300));
    }

    #[test]
    fn a_clock_that_is_set_back_puts_nothing_to_sleep() {
        let mut idle = Idle::new(TIMEOUT, at(1000), Work::default());
        let verdict = idle.look(Evidence { last_asked: at(1000), ..seen(10) });
        assert_eq!(verdict, Verdict::Awake { look_in: idle.step() });
    }

    proptest! {
        #[test]
        fn no_look_is_far_and_none_is_at_once(
            looks in proptest::collection::vec((0u64..400, any::<bool>(), 0u64..60, 0u64..900), 1..40)
        ) {
            let mut idle = Idle::new(TIMEOUT, at(0), Work::default());
            let (mut now, mut worked) = (0, Work::default());
            for (passed, is_used, work, lease) in looks {
                now += passed;
                worked.ran += Duration::from_secs(work);
                let leased_until = Some(at(lease));
                let verdict = idle.look(Evidence { is_used, worked, leased_until, ..seen(now) });
                match verdict {
                    Verdict::Awake { look_in } => {
                        prop_assert!(!look_in.is_zero() && look_in <= idle.step());
                    }
                    Verdict::Sleep => prop_assert!(!is_used && now >= 300 && now >= lease),
                }
            }
        }
    }
}
