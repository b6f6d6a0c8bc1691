//! Waiting for something that the kernel makes soon.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a device may take to appear.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks. Devices appear within milliseconds, and only at bake.
const INTERVAL: Duration = Duration::from_millis(10);

/// Blocks until `path` exists.
///
/// # Errors
/// `TimedOut` after ten seconds.
pub fn wait_for(path: &Path) -> io::Result<()> {
    wait_for_some(|| path.exists().then_some(())).ok_or_else(|| {
        io::Error::new(io::ErrorKind::TimedOut, format!("{} did not appear", path.display()))
    })
}

/// Blocks until `look` finds something; `None` after ten seconds.
pub fn wait_for_some<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(INTERVAL);
    }
}
