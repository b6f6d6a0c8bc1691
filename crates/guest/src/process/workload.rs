//! The workload: every process but the agent, which it can be held apart from.
//!
//! All that the agent starts enters one control group before it is a program, and
//! what that starts stays in there. So one write stops all of it at once, and
//! nothing of it runs while the machine is saved, or becomes another.
//!
//! A child that is frozen before it is a program would hold up the thread that
//! started it, and with it the agent. So children are started only by who has a
//! [`MayStart`], which nobody gets while the workload is held.

use std::io;
use std::marker::PhantomData;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::watch;

use crate::sys::cgroup::Group;

/// How long the workload may take to stop: a process that waits for a disk stops
/// only when the disk has answered.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Set once, while the machine boots. Not in tests, and not under a kernel without control groups.
static GROUP: OnceLock<Group> = OnceLock::new();
static HELD: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Why the workload was not held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// There is nothing to hold it by.
    #[error("this machine's kernel has no control groups (cgroup v2)")]
    NoGroup,
    /// It did not stop, and goes on.
    #[error("not every process stopped: {0}")]
    Stop(io::Error),
}

/// Makes `group` the workload's, before anything is started.
pub fn keep_in(group: Group) {
    // A second one would come from a second boot.
    let _unused = GROUP.set(group);
}

/// For a fresh child, between fork and exec: enters the workload.
pub(super) fn enter() -> Result<(), Errno> {
    GROUP.get().map_or(Ok(()), Group::enter)
}

/// The right to start a child, now: it cannot be kept across an `await`, so the
/// workload is not held before the child is a program.
#[derive(Debug)]
pub struct MayStart(PhantomData<*const ()>);

/// Waits until the workload is not held.
pub async fn may_start() -> MayStart {
    let mut held = HELD.subscribe();
    // An error means that the agent itself is ending.
    let _unused = held.wait_for(|held| !held).await;
    MayStart(PhantomData)
}

/// Stops the workload. Blocks the runtime's thread, so that nothing is started meanwhile.
///
/// # Errors
/// [`HoldError`]; it goes on then.
pub fn hold() -> Result<(), HoldError> {
    let group = GROUP.get().ok_or(HoldError::NoGroup)?;
    HELD.send_replace(true);
    group.freeze(STOP_LIMIT).map_err(|error| {
        // Why it could not be stopped says more than why it could not go on.
        let _unused = release();
        HoldError::Stop(error)
    })
}

/// Lets the workload go on; fine when it was not held.
///
/// # Errors
/// The kernel's.
pub fn release() -> io::Result<()> {
    if let Some(group) = GROUP.get() {
        group.thaw()?;
    }
    HELD.send_replace(false);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn nothing_starts_while_it_is_held() {
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(may_start());
        assert!(first.as_mut().poll(&mut context).is_ready());
        HELD.send_replace(true);
        let mut second = pin!(may_start());
        assert!(matches!(second.as_mut().poll(&mut context), Poll::Pending));
        release().unwrap();
        assert!(second.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn a_machine_without_a_group_says_so() {
        assert!(matches!(hold(), Err(HoldError::NoGroup)));
    }
}
