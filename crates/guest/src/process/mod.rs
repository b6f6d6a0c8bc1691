//! Children: who they run as, what they inherit, how they start, how all of them are
//! held at once (`workload`), and how they are reaped.

mod environment;
mod hang_up;
mod interpreter;
mod program;
mod reaper;
mod root;
mod spawn;
mod terminal;
mod users;
mod workload;

pub use hang_up::kill_session;
pub use interpreter::{Interpreter, interpreter};
pub use reaper::{Child, Exit, signal_everyone, wait_until_childless};
pub use spawn::{Detached, Piped, SpawnError, Unfed, detached, piped, unfed};
pub use terminal::{Master, OnTerminal, on_terminal};
pub use users::names;
pub use workload::{HoldError, MayStart, hold, keep_in, may_start, release};

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// No account file or environment file is believed beyond this.
const MAX_SETTINGS_BYTES: u64 = 4 * 1024 * 1024;

/// A settings file as text; empty when it is not there.
fn read_settings(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_SETTINGS_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
