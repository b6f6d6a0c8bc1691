//! When a process that ended starts again. Pure: no clock, no process.

use std::time::Duration;

use pando_guest_protocol::supervise::{FIRST_DELAY_MS, MAX_DELAY_MS, RAN_WELL_MS};

const FIRST_DELAY: Duration = Duration::from_millis(FIRST_DELAY_MS);
const MAX_DELAY: Duration = Duration::from_millis(MAX_DELAY_MS);
const RAN_WELL: Duration = Duration::from_millis(RAN_WELL_MS);

/// How long each start of one process waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST_DELAY }
    }
}

impl Backoff {
    /// What a process waits that ended after it `ran` for so long: twice as long each
    /// time, and as at the first time after it ran well.
    pub fn after(&mut self, ran: Duration) -> Duration {
        if ran >= RAN_WELL {
            *self = Self::default();
        }
        let delay = self.next;
        self.next = (delay * 2).min(MAX_DELAY);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn twice_as_long_each_time_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..9).map(|_| backoff.after(Duration::ZERO).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.after(RAN_WELL), FIRST_DELAY);
        assert_eq!(backoff.after(RAN_WELL.saturating_sub(Duration::from_millis(1))).as_secs(), 2);
    }

    proptest! {
        #[test]
        fn a_wait_is_within_its_limits_and_grows(ran_ms in prop::collection::vec(0..120_000u64, 1..40)) {
            let (mut backoff, mut before) = (Backoff::default(), None);
            for ran in ran_ms.into_iter().map(Duration::from_millis) {
                let delay = backoff.after(ran);
                prop_assert!((FIRST_DELAY..=MAX_DELAY).contains(&delay));
                match before {
                    Some(before) if ran < RAN_WELL => {
                        prop_assert_eq!(delay, MAX_DELAY.min(before * 2));
                    }
                    _ => prop_assert_eq!(delay, FIRST_DELAY),
                }
                before = Some(delay);
            }
        }

        /// However little each run takes, no process starts often.
        #[test]
        fn a_process_that_ends_at_once_starts_seldom(starts in 10..200u32) {
            let mut backoff = Backoff::default();
            let waited: Duration = (0..starts).map(|_| backoff.after(Duration::ZERO)).sum();
            prop_assert!(waited >= Duration::from_secs(60) * (starts - 7));
        }
    }
}
