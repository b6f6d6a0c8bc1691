//! What is done about a schedule that is looked at: pure, of the time and what its row says.
//! The cron of apps has the same.
//!
//! The rule, which `docs/schedules.md` states for users:
//! - each due time is run for once at most;
//! - of all that were missed (no server, no room), the last is made up for, if it is not
//!   older than [`SCHEDULE_CATCH_UP`]; the others are left out;
//! - a time that comes while the last run goes on is left out;
//! - a sandbox that is paused or has failed is left as it is, and the time out.

use std::{fmt, iter};

use pando_types::Timestamp;
use pando_types::limits::SCHEDULE_CATCH_UP;

use super::cron::Cron;
use crate::node::NodeError;
use crate::sandbox::policy::State;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Wait,
    /// It is run for that time, and waits for the next.
    Run {
        /// For when.
        due: Timestamp,
        /// What it waits for then.
        next: Option<Timestamp>,
    },
    /// It is not run, and waits for the next.
    Skip {
        /// The last time for which it is not run.
        missed: Timestamp,
        /// Why.
        why: Why,
        /// What it waits for then.
        next: Option<Timestamp>,
    },
}

/// Why there is no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The run before goes on.
    Running,
    /// It is too late to make up for it.
    Late,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("the run before was still going on"),
            Self::Late => {
                let minutes = SCHEDULE_CATCH_UP.as_secs() / 60;
                write!(f, "it could not be run within {minutes} minutes of its time")
            }
        }
    }
}

/// Decides of one that waits for `due`.
#[must_use]
pub fn decide(cron: &Cron, due: Timestamp, is_running: bool, now: Timestamp) -> Decision {
    if due > now {
        return Decision::Wait;
    }
    let next = cron.next_after(now);
    match latest(cron, due, now) {
        None => Decision::Skip { missed: due, why: Why::Late, next },
        Some(missed) if is_running => Decision::Skip { missed, why: Why::Running, next },
        Some(due) => Decision::Run { due, next },
    }
}

/// The last due time from `due` until now that is not too old.
fn latest(cron: &Cron, due: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let catch_up_ms = i64::try_from(SCHEDULE_CATCH_UP.as_millis()).unwrap_or(i64::MAX);
    let oldest = now.as_millis().saturating_sub(catch_up_ms);
    let until_now = |at: &Timestamp| *at <= now;
    let first = if due.as_millis() >= oldest {
        due
    } else {
        // However long it was off: there are a few dozen times to look at from here.
        let before = Timestamp::from_millis(oldest.saturating_sub(1));
        cron.next_after(before).filter(until_now)?
    };
    iter::successors(Some(first), |at| cron.next_after(*at).filter(until_now)).last()
}

/// What follows when the way into the sandbox was refused: nothing was run in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It may be let in later: it is tried again for as long as it is not too late.
    Again,
    /// This time is left out.
    Leave,
}

/// Decides of a refusal.
#[must_use]
pub fn refused(error: &NodeError) -> Refused {
    match error {
        NodeError::NotRunning(State::Hibernated) | NodeError::Stopping => Refused::Again,
        NodeError::NotWoken(cause) => match &**cause {
            NodeError::Denied(_) | NodeError::NotFound | NodeError::Fenced => Refused::Leave,
            _ => Refused::Again,
        },
        _ => Refused::Leave,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn cron(text: &str) -> Cron {
        Cron::parse(text).unwrap()
    }

    /// 2026-01-31T00:00Z and so much.
    fn at(span: Duration) -> Timestamp {
        Timestamp::from_millis(1_769_817_600_000).plus(span)
    }

    #[test]
    fn on_time_it_runs_and_waits_for_the_next() {
        let (daily, due) = (cron("0 3 * * *"), at(3 * HOUR));
        let early = Timestamp::from_millis(due.as_millis() - 1);
        assert_eq!(decide(&daily, due, false, early), Decision::Wait);
        let next = Some(at(27 * HOUR));
        assert_eq!(decide(&daily, due, false, due), Decision::Run { due, next });
    }

    #[test]
    fn what_was_missed_is_made_up_for_once_and_not_too_late() {
        let (daily, due) = (cron("0 3 * * *"), at(3 * HOUR));
        let run = Decision::Run { due, next: Some(at(27 * HOUR)) };
        assert_eq!(decide(&daily, due, false, at(4 * HOUR)), run);
        let late = at(4 * HOUR + Duration::from_millis(1));
        let skip = Decision::Skip { missed: due, why: Why::Late, next: Some(at(27 * HOUR)) };
        assert_eq!(decide(&daily, due, false, late), skip);

        // Off for two days: one run, for the last of 2,881 times.
        let minutely = cron("* * * * *");
        let run = Decision::Run { due: at(48 * HOUR), next: Some(at(48 * HOUR + MINUTE)) };
        assert_eq!(decide(&minutely, at(Duration::ZERO), false, at(48 * HOUR)), run);
        // Off for two days and 30 minutes: the time of today, not that of before.
        let now = at(51 * HOUR + 30 * MINUTE);
        let run = Decision::Run { due: at(51 * HOUR), next: Some(at(75 * HOUR)) };
        assert_eq!(decide(&daily, due, false, now), run);
    }

    #[test]
    fn what_comes_while_it_runs_is_left_out() {
        let now = at(5 * MINUTE + MINUTE / 2);
        let decided = decide(&cron("* * * * *"), at(2 * MINUTE), true, now);
        let (missed, next) = (at(5 * MINUTE), Some(at(6 * MINUTE)));
        assert_eq!(decided, Decision::Skip { missed, why: Why::Running, next });
    }

    #[test]
    fn one_whose_times_have_passed_waits_for_none() {
        // The fifth Sunday of a February is in 2032, and then in 2060.
        let rare = cron("0 0 * 2 SUN#5");
        let due = rare.next_after(at(Duration::ZERO)).unwrap();
        assert_eq!(due.to_rfc3339(), "2032-02-29T00:00:00.000Z");
        assert_eq!(decide(&rare, due, false, due), Decision::Run { due, next: None });
    }

    #[test]
    fn no_room_is_tried_again_and_a_pause_is_not() {
        let asleep = |cause| NodeError::NotWoken(Arc::new(cause));
        for error in [
            asleep(NodeError::NoMemory),
            asleep(NodeError::MemoryPromised),
            asleep(NodeError::NoSlot),
            asleep(NodeError::OverQuota(pando_types::PublicError::internal())),
            asleep(NodeError::Crowded),
            asleep(NodeError::NoDisk),
            asleep(NodeError::Failed(String::new())),
            NodeError::NotRunning(State::Hibernated),
            NodeError::Stopping,
        ] {
            assert_eq!(refused(&error), Refused::Again, "{error:?}");
        }
        for error in [
            NodeError::NotRunning(State::Paused),
            NodeError::NotRunning(State::Failed { reason: String::new() }),
            NodeError::NotFound,
            asleep(NodeError::Denied(String::new())),
        ] {
            assert_eq!(refused(&error), Refused::Leave, "{error:?}");
        }
    }

    proptest! {
        /// Looked at whenever it may be, with runs of any length.
        #[test]
        fn each_time_is_run_for_once_at_most_and_the_last_of_an_hour_is_not_lost(
            text in prop::sample::select(vec![
                "* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "0 0 * * 1-5", "15 6 L * *",
            ]),
            looks in prop::collection::vec((1_i64..10_000_000, any::<bool>()), 1..40),
        ) {
            let cron = cron(text);
            let (mut now, mut ran) = (at(Duration::ZERO), None::<Timestamp>);
            let mut waits = cron.next_after(now);
            for (ms, is_running) in looks {
                now = Timestamp::from_millis(now.as_millis() + ms);
                let Some(due) = waits else { break };
                let decided = decide(&cron, due, is_running, now);
                let hour_ago = Timestamp::from_millis(now.as_millis() - 3_600_000);
                // The last time until now, by asking for each.
                let last = iter::successors(Some(due), |at| cron.next_after(*at))
                    .take_while(|at| *at <= now).last();
                let fresh = last.filter(|last| *last >= hour_ago);
                match decided {
                    Decision::Wait => prop_assert!(due > now),
                    Decision::Run { due: taken, next } => {
                        prop_assert!(!is_running);
                        prop_assert_eq!(Some(taken), fresh);
                        prop_assert!(ran.is_none_or(|ran| ran < taken));
                        prop_assert!(next.is_none_or(|next| next > now));
                        (ran, waits) = (Some(taken), next);
                    }
                    Decision::Skip { missed, why, next } => {
                        prop_assert_eq!(why == Why::Late, fresh.is_none());
                        prop_assert!(missed <= now && next.is_none_or(|next| next > now));
                        waits = next;
                    }
                }
            }
        }
    }
}
