//! Ending what a terminal's session left running.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::sys::proc_stat;

/// Kills every process of the session that `leader` leads or led.
pub fn kill_session(leader: Pid) {
    let is_member = |pid: u32| {
        let session = u32::try_from(leader.as_raw_nonzero().get()).unwrap_or_default();
        proc_stat::of(pid).is_some_and(|stat| stat.session == session)
    };
    for pid in proc_stat::pids().filter(|pid| is_member(*pid)) {
        // Held before it is looked at again: an id that was given to another meanwhile is left alone.
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let held = process.and_then(|process| pidfd_open(process, PidfdFlags::empty()).ok());
        if let Some(held) = held
            && is_member(pid)
        {
            // It may have ended by itself.
            let _unused = pidfd_send_signal(&held, Signal::KILL);
        }
    }
}
