//! The control group of all that the agent starts (`process::workload`).
//!
//! A program finds that group where it looks for the root of all groups, as in a
//! container: software that makes groups makes them in there, and they are frozen with it.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind};

use crate::process;
use crate::sys::cgroup::Group;
use crate::sys::log;

const TARGET: &str = "/sys/fs/cgroup";
const GROUP: &str = "/sys/fs/cgroup/workload";

/// Makes the group. A kernel may lack control groups: then the machine works, and
/// cannot be frozen.
pub fn set_apart() {
    if let Err(error) = make() {
        log::error(format_args!("no control group for the workload: {error}"));
    }
}

fn make() -> io::Result<()> {
    mount_groups()?;
    let group = Group::make(Path::new(GROUP))?;
    mount_bind(GROUP, TARGET)?;
    process::keep_in(group);
    Ok(())
}

/// Every command that is started enters the group. Without `favordynmods` each would
/// wait for all processors to have passed through the scheduler.
fn mount_groups() -> io::Result<()> {
    let mount_with =
        |options| mount("cgroup2", TARGET, "cgroup2", MountFlags::NOSUID, Some(options));
    match mount_with(c"favordynmods") {
        // Linux before 6.0 has no such option.
        Err(Errno::INVAL) => Ok(mount_with(c"")?),
        other => Ok(other?),
    }
}
