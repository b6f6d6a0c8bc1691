//! The wall clock, in nanoseconds since the epoch.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_settime};

const NANOSECONDS: u64 = 1_000_000_000;
/// How far it may be off: what a message on its way takes on a busy host.
const SLACK: Duration = Duration::from_millis(20);

/// What it says.
pub fn read() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What it says, in milliseconds.
pub fn read_ms() -> u64 {
    read() / 1_000_000
}

/// Sets it.
///
/// # Errors
/// The kernel's.
pub fn set(wall_clock_ns: u64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(wall_clock_ns / NANOSECONDS).map_err(io::Error::other)?,
        tv_nsec: (wall_clock_ns % NANOSECONDS) as i64,
    };
    Ok(clock_settime(ClockId::Realtime, time)?)
}

/// Sets it where it is off by more than a message on its way may make it seem. One that is
/// right is left alone: it would go back by as much.
///
/// # Errors
/// The kernel's.
pub fn correct(wall_clock_ns: u64) -> io::Result<()> {
    if Duration::from_nanos(read().abs_diff(wall_clock_ns)) <= SLACK {
        return Ok(());
    }
    set(wall_clock_ns)
}

/// Moves it; back where `by_ns` is negative.
///
/// # Errors
/// The kernel's.
pub fn shift(by_ns: i64) -> io::Result<()> {
    set(read().saturating_add_signed(by_ns))
}
