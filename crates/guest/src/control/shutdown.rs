//! The end of a machine.

use std::time::Duration;

use pando_guest_protocol::control::ToHost;
use rustix::mount::{MountFlags, mount_remount};
use rustix::process::Signal;
use rustix::system::{RebootCommand, reboot};

use crate::process::{signal_everyone, wait_until_childless};
use crate::session::Services;
use crate::sys::log;

/// What processes have to end by themselves.
const GRACE: Duration = Duration::from_secs(5);
/// What the kernel has to take down those it killed.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// Ends every process, then the machine. Returns only where it failed to.
pub async fn shut_down(services: &Services) -> ToHost {
    services.access.close();
    // First, and in the time that each was given: nothing of them starts again.
    services.supervisor.stop(&services.logs).await;
    // On another thread, so that the sessions of ending commands can still report it.
    let ended = tokio::task::spawn_blocking(|| {
        signal_everyone(Signal::TERM);
        wait_until_childless(GRACE);
        signal_everyone(Signal::KILL);
        wait_until_childless(KILL_LIMIT);
    });
    match ended.await {
        Ok(()) => power_off(),
        Err(error) => ToHost::Failed { message: format!("shutdown: {error}") },
    }
}

/// Writes everything to disk and turns the machine off.
pub fn power_off() -> ! {
    rustix::fs::sync();
    // Leaves a clean file system; the disk is whole without it.
    if let Err(error) = mount_remount("/", MountFlags::RDONLY, "") {
        log::info(format_args!("the root stays writable: {error}"));
    }
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        log::error(format_args!("power off: {error}"));
    }
    // Not reached on a machine that can be turned off; the host ends one that cannot.
    loop {
        std::thread::park();
    }
}
