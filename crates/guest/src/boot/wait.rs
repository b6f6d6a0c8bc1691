//! Waiting for something that the kernel makes soon.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a device may take to appear.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks. Devices appear within milliseconds, and only at bake.
const INTERVAL: Duration = Duration::from_millis(10);

/// Returns when `path` exists.
///
/// # Errors
/// `TimedOut` after ten seconds.
pub fn wait_for(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !path.exists() {
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{} did not appear", path.display()),
            ));
        }
        std::thread::sleep(INTERVAL);
    }
    Ok(())
}
