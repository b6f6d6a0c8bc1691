//! How a job ends, and when one that failed is tried again.

use std::time::Duration;

/// The pause before a failed job is tried again doubles up to this.
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// How a job went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is nothing left to do.
    Done,
    /// To be done again after this long.
    Again(Duration),
}

/// One second, doubled with each attempt.
pub(crate) fn backoff(attempts: u32) -> Duration {
    let seconds = 1u64 << attempts.saturating_sub(1).min(9);
    Duration::from_secs(seconds).min(LONGEST_RETRY)
}
