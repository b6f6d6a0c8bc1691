//! From the initramfs to a machine that can be snapshotted: a root on disk, a network, limits.
//!
//! ```text
//! initramfs ─ devices → modules → /dev/vda ─ switch → root ─ mounts → workload → network → limits → pando-lease
//! ```
//!
//! It happens once, when a template is baked; every restored machine finds it done.

mod devices;
mod limits;
mod modules;
mod mounts;
mod network;
mod parameters;
mod root;
mod wait;
mod workload;

use std::io;

pub use wait::{wait_for, wait_for_some};

use crate::programs;
use crate::sys::log;

/// Why a machine did not come up.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
pub struct BootError {
    step: String,
    source: io::Error,
}

/// Names the step that an I/O error came from.
trait Step<T> {
    fn step(self, step: impl Into<String>) -> Result<T, BootError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl Into<String>) -> Result<T, BootError> {
        self.map_err(|source| BootError { step: step.into(), source: source.into() })
    }
}

/// Boots.
///
/// # Errors
/// [`BootError`] names the step without which no sandbox can work.
pub fn boot() -> Result<(), BootError> {
    devices::mount()?;
    modules::load()?;
    root::switch()?;
    mounts::mount()?;
    workload::set_apart();
    let parameters = parameters::read()?;
    network::configure(&parameters)?;
    limits::raise()?;
    programs::install();
    log::info(format_args!("agent {} is up", env!("CARGO_PKG_VERSION")));
    Ok(())
}
