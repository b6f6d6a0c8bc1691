//! One running VMM, by its monitor, its process and what it leaves.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::qmp::Qmp;
use super::{LOG, MONITOR_SOCKET, state};
use crate::cage::remove_group;
use crate::driver::{Machine, VmError};
use crate::memory::{self, MemoryFiles, Saved};
use crate::sys::process::{self, Ending, Watched, Work, tail};
use crate::sys::socket;

/// How much of its log a dead VMM's reason holds, in bytes.
const REASON_BYTES: u64 = 600;
/// How long a killed VMM may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Running {
    pub process: Watched,
    /// Its control group.
    pub group: Option<PathBuf>,
    pub dir: PathBuf,
}

impl Running {
    async fn monitor(&self) -> Result<Qmp, VmError> {
        let stream = socket::connect(&self.dir, MONITOR_SOCKET)
            .map_err(VmError::io("cannot reach the VMM's monitor"))?;
        Qmp::handshake(stream).await
    }

    /// One command; a VMM that dies meanwhile ends the wait at once.
    async fn command(&self, command: &str, arguments: serde_json::Value) -> Result<(), VmError> {
        let asked = async { self.monitor().await?.execute(command, arguments).await };
        self.unless_it_ends(asked).await.map(drop)
    }

    async fn unless_it_ends<T>(
        &self,
        work: impl Future<Output = Result<T, VmError>>,
    ) -> Result<T, VmError> {
        tokio::select! {
            outcome = work => outcome,
            said = self.exited() => Err(VmError::Exited { said }),
        }
    }
}

#[async_trait]
impl Machine for Running {
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn worked(&self) -> Option<Work> {
        process::worked(self.pid())
    }

    async fn pause(&self) -> Result<(), VmError> {
        self.command("stop", json!({})).await
    }

    async fn resume(&self) -> Result<(), VmError> {
        self.command("cont", json!({})).await
    }

    async fn save_device_state(&self, path: &Path) -> Result<(), VmError> {
        let io = |error| VmError::io("cannot save the device state")(error);
        let (given, theirs) = state::unnamed(path).map_err(io)?;
        let save = async {
            let mut monitor = self.monitor().await?;
            let filename = monitor.give(theirs.as_fd()).await?;
            let arguments = json!({ "filename": filename, "live": false });
            monitor.execute("xen-save-devices-state", arguments).await
        };
        self.unless_it_ends(save).await?;
        let path = path.to_owned();
        let taken = tokio::task::spawn_blocking(move || state::take(given, &path));
        taken.await.map_err(io::Error::other).flatten().map_err(io)
    }

    async fn save_memory(
        &self,
        from: &MemoryFiles,
        to: &Path,
        room_bytes: u64,
    ) -> Result<Saved, VmError> {
        let (pid, from, to) = (self.pid(), from.clone(), to.to_owned());
        let save = tokio::task::spawn_blocking(move || {
            memory::save(pid, &from, &to, room_bytes).map_err(VmError::from)
        });
        // Awaited in any case: it writes into the file until then.
        let saved = save
            .await
            .unwrap_or_else(|error| Err(VmError::io("saving the memory")(io::Error::other(error))));
        // Of a VMM that is gone, the id may have been another's.
        tokio::select! {
            biased;
            said = self.exited() => Err(VmError::Exited { said }),
            saved = std::future::ready(saved) => saved,
        }
    }

    async fn kill(&self) -> Result<(), VmError> {
        self.process.kill().map_err(VmError::io("cannot kill the VMM"))?;
        let gone = tokio::time::timeout(KILL_TIMEOUT, self.process.ended()).await;
        gone.map_err(|_| VmError::Timeout {
            command: "kill".into(),
            seconds: KILL_TIMEOUT.as_secs(),
        })?;
        self.process.reap();
        remove_group(self.group.as_deref()).await;
        Ok(())
    }

    async fn exited(&self) -> String {
        self.process.ended().await;
        let ending = self.process.reap();
        reason(ending, &telling(&tail(&self.dir.join(LOG), REASON_BYTES)))
    }
}

/// A log without the line that QEMU prints at every restore, and that means nothing:
/// the description of a saved state is no part of what `xen-save-devices-state` writes.
fn telling(log: &str) -> String {
    let lines = log.lines().filter(|line| !line.contains("Expected vmdescription section"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Why a VMM is gone, by how it ended and the end of its log.
fn reason(ending: Option<Ending>, said: &str) -> String {
    let said = if said.is_empty() { "it said nothing" } else { said };
    match ending {
        // It was told to end when the guest does (`-no-reboot`); what its log holds is older.
        Some(Ending::Exit(0)) => "its guest shut down, restarted or crashed".into(),
        Some(Ending::Signal(signal)) => format!("signal {signal} ended its VMM: {said}"),
        Some(Ending::Exit(_)) | None => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_at_every_restore_is_no_reason() {
        let usual = "qemu-system-x86_64: Expected vmdescription section, but got 0";
        assert_eq!(telling(usual), "");
        assert_eq!(telling(&format!("{usual}\nout of memory")), "out of memory");
        assert_eq!(reason(Some(Ending::Signal(9)), ""), "signal 9 ended its VMM: it said nothing");
    }

    #[test]
    fn a_vmm_that_its_guest_ended_is_not_blamed() {
        let old = "qemu-system-x86_64: Expected vmdescription section, but got 0";
        let reason = |ending| reason(ending, old);
        assert!(!reason(Some(Ending::Exit(0))).contains("vmdescription"));
        assert!(reason(Some(Ending::Signal(9))).starts_with("signal 9 ended its VMM"));
        assert_eq!(reason(Some(Ending::Exit(1))), old);
        assert_eq!(reason(None), old);
    }
}
