//! Randomness and the wall clock for a guest's new identity.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

/// `N` random bytes from the kernel, in hex.
pub(crate) fn hex<const N: usize>() -> String {
    let mut bytes = [0u8; N];
    let mut filled = 0;
    while filled < N {
        // Without flags it fails only when interrupted before the pool is ready.
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty()).unwrap_or(0);
    }
    bytes.iter().fold(String::with_capacity(2 * N), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The host's wall clock in nanoseconds since the epoch.
pub(crate) fn wall_clock_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
