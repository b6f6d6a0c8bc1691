//! Keeping a guest's wall clock beside the host's.
//!
//! A time that is told is late by what it was on its way, which on a busy host is a
//! tenth of a second. So the guest is asked for its own, between two moments of the
//! host's, and moved by the difference. [`judge`] decides, without clock or socket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pando_guest_protocol::control::{ToGuest, ToHost};
use tokio::time::Instant;

use super::actor::Actor;
use super::policy::State;
use crate::random;

/// Until an answer is not worth waiting for.
const ANSWER_LIMIT: Duration = Duration::from_millis(200);
/// An answer that took longer says too little.
const TRUSTED: Duration = Duration::from_millis(40);
/// How far a clock may be off and is left alone.
const SLACK: Duration = Duration::from_millis(10);
/// How long after an answer that said too little it is asked again, at first.
const FIRST_REST: Duration = Duration::from_millis(50);
/// How long a clock that was right is left alone: it drifts by some milliseconds.
const PERIOD: Duration = Duration::from_secs(600);

/// When a guest's clock is looked at next.
#[derive(Debug)]
pub(super) struct ClockWatch {
    look_at: Instant,
    rest: Duration,
    question: u64,
}

impl ClockWatch {
    /// Looks at once.
    pub(super) fn new() -> Self {
        Self { look_at: Instant::now(), rest: FIRST_REST, question: 0 }
    }
}

/// What one look at a clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It was on its way for too long.
    Unsure,
    Right,
    Off {
        by_ns: i64,
    },
}

/// Of a guest's time, asked for at `asked_ns` and told at `told_ns` of the host's clock.
fn judge(asked_ns: u64, guest_ns: u64, told_ns: u64) -> Verdict {
    let nanoseconds = |span: Duration| i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
    let (asked, guest, told) = (i128::from(asked_ns), i128::from(guest_ns), i128::from(told_ns));
    // The host's own clock may be set meanwhile.
    if !(0..=nanoseconds(TRUSTED)).contains(&(told - asked)) {
        return Verdict::Unsure;
    }
    let off = (asked + told) / 2 - guest;
    if off.abs() <= nanoseconds(SLACK) {
        return Verdict::Right;
    }
    i64::try_from(off).map_or(Verdict::Unsure, |by_ns| Verdict::Off { by_ns })
}

impl Actor {
    /// Tells the guest what time it is, about. It lost what its restore or its pause took.
    pub(super) async fn set_clock(&mut self) {
        self.clock = ClockWatch::new();
        let Some(control) = &mut self.control else { return };
        let clock = ToGuest::Clock { wall_clock_ns: random::wall_clock_ns() };
        let sent = tokio::time::timeout(ANSWER_LIMIT, control.send(&clock)).await;
        if !matches!(sent, Ok(Ok(()))) {
            // Its clock is behind, and everything else is well.
            tracing::warn!(sandbox = self.id().short(), "the guest's clock could not be set");
        }
    }

    /// When the guest's clock is looked at next.
    pub(super) fn clock_due(&self) -> Option<Instant> {
        let is_told = self.manifest.state == State::Running && self.attached;
        (is_told && self.control.is_some()).then_some(self.clock.look_at)
    }

    /// Asks the guest for its time and moves its clock where it is off.
    pub(super) async fn look_at_clock(&mut self) {
        match self.ask_clock().await {
            Verdict::Unsure => {
                self.clock.look_at = Instant::now() + self.clock.rest;
                self.clock.rest = (2 * self.clock.rest).min(PERIOD);
                return;
            }
            Verdict::Right => {}
            Verdict::Off { by_ns } => {
                tracing::debug!(sandbox = self.id().short(), by_ns, "a guest's clock is moved");
                let Some(control) = &mut self.control else { return };
                if let Err(error) = control.send(&ToGuest::ShiftClock { by_ns }).await {
                    let error = crate::chain(&error);
                    tracing::warn!(sandbox = self.id().short(), error, "a clock is off");
                }
            }
        }
        self.clock.rest = FIRST_REST;
        self.clock.look_at = Instant::now() + PERIOD;
    }

    async fn ask_clock(&mut self) -> Verdict {
        let Some(control) = &mut self.control else { return Verdict::Unsure };
        self.clock.question += 1;
        let question = self.clock.question;
        let guest_ns = AtomicU64::new(0);
        let asked_ns = random::wall_clock_ns();
        let told = async {
            control.skip_unread();
            control.send(&ToGuest::ReadClock { question }).await?;
            let is_answer = |said: &ToHost| match said {
                ToHost::Clock { question: of, wall_clock_ns } if *of == question => {
                    guest_ns.store(*wall_clock_ns, Ordering::Relaxed);
                    true
                }
                _ => false,
            };
            control.wait(ANSWER_LIMIT, is_answer).await
        };
        match told.await {
            Ok(_) => judge(asked_ns, guest_ns.into_inner(), random::wall_clock_ns()),
            Err(error) => {
                let error = crate::chain(&error);
                tracing::debug!(sandbox = self.id().short(), error, "a guest's time is not known");
                Verdict::Unsure
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn a_clock_is_judged_by_the_middle_of_the_question() {
        let judge =
            |guest, told| judge(1000 * MILLISECOND, guest * MILLISECOND, told * MILLISECOND);
        assert_eq!(judge(1010, 1020), Verdict::Right);
        assert_eq!(judge(1000, 1020), Verdict::Right);
        assert_eq!(judge(900, 1020), Verdict::Off { by_ns: 110_000_000 });
        assert_eq!(judge(1110, 1020), Verdict::Off { by_ns: -100_000_000 });
        assert_eq!(judge(1010, 1041), Verdict::Unsure);
        // The host's clock was set back.
        assert_eq!(judge(1010, 999), Verdict::Unsure);
    }

    proptest! {
        #[test]
        fn whatever_a_guest_says_it_is_moved_to_the_hosts_time(
            asked: u64, guest: u64, took in 0..=40 * MILLISECOND,
        ) {
            let told = asked.saturating_add(took);
            match judge(asked, guest, told) {
                Verdict::Off { by_ns } => {
                    let now = i128::from(guest) + i128::from(by_ns);
                    prop_assert!((i128::from(asked)..=i128::from(told)).contains(&now));
                }
                Verdict::Right => prop_assert!(guest.abs_diff(told) <= 50 * MILLISECOND),
                Verdict::Unsure => {
                    prop_assert!(guest.abs_diff(asked) > u64::try_from(i64::MAX).unwrap() / 2);
                }
            }
        }
    }
}
