//! A deadline that is set for every exchange and nearly never reached.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// The alarm. It is entered into the system of timers once, however often the
/// deadline moves: when an earlier deadline is reached, it is moved to the one
/// that counts.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Sets the deadline that counts from now on.
    pub(crate) fn set(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
        // It can be moved later only.
        if self.sleep.as_ref().is_some_and(|sleep| sleep.deadline() > deadline) {
            self.sleep = None;
        }
    }

    /// Ready once the deadline is reached.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test]
    async fn the_last_deadline_set_counts() {
        let begun = Instant::now();
        let millis = |count| begun + Duration::from_millis(count);
        let mut alarm = Alarm::default();
        for deadline in [millis(10), millis(40), millis(20), millis(60)] {
            alarm.set(deadline);
            let now = poll_fn(|cx| Poll::Ready(alarm.poll(cx))).await;
            assert!(now.is_pending() || Instant::now() >= deadline);
        }
        poll_fn(|cx| alarm.poll(cx)).await;
        assert!(Instant::now() >= millis(60));
    }
}
