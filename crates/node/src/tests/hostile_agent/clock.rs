//! A clock that the test moves, so that a limit of minutes passes in milliseconds
//! and is asserted in the clock's own time, however slow the host is.
//!
//! Tokio's own way of skipping idle time would skip it as soon as everybody waits
//! for a socket; here each second comes only after all that is under way had its
//! turns.

use std::time::Duration;

use tokio::time::Instant;

const STEP: Duration = Duration::from_secs(1);
/// How often everybody gets a turn in each second: more than any exchange over
/// loopback needs for one step of it.
const TURNS: usize = 30;
/// No limit of the node on one answer is longer.
const ENOUGH: Duration = Duration::from_secs(900);

/// Lets time fly until `done`, and returns how much of it passed.
pub(super) async fn fly_until(mut done: impl FnMut() -> bool) -> Duration {
    tokio::time::pause();
    let begun = Instant::now();
    let passed = 'flight: loop {
        for _ in 0..TURNS {
            if done() {
                break 'flight begun.elapsed();
            }
            tokio::task::yield_now().await;
        }
        assert!(begun.elapsed() < ENOUGH, "still waiting after {} s", ENOUGH.as_secs());
        tokio::time::advance(STEP).await;
    };
    tokio::time::resume();
    passed
}
