//! QEMU's `microvm` machine, on KVM where the processor has it and on TCG anywhere.
//!
//! A restore costs one process start: the device state is an inherited file that
//! QEMU loads by itself (`-incoming fd:N`) and then runs, the memory file is
//! mapped privately, and the control line's socket was connected and written to
//! before. No command is sent on that path; the monitor is for later.
//!
//! Device state is saved by `xen-save-devices-state` (needs no Xen): it leaves
//! memory out, which is in its file already.

mod arguments;
#[cfg(fuzzing)]
pub mod fuzzing;
mod qmp;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use self::arguments::{Arguments, Start};
use self::qmp::Qmp;
use super::{
    Accelerator, BootSpec, Disks, Home, Hypervisor, Machine, MachineName, RestoreSpec, Shape,
    Started, VmError,
};
use crate::network::Slot;
use crate::sys::process::{Spawn, Watched, tail, with_argument};
use crate::sys::{host, socket};

const PROGRAM: &str = "qemu-system-x86_64";
const MONITOR_SOCKET: &str = "monitor.sock";
const CONTROL_SOCKET: &str = "control.sock";
const LOG: &str = "vmm.log";
/// How much of its log a dead VMM's reason holds, in bytes.
const REASON_BYTES: usize = 600;
/// How long a killed VMM may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// The driver. One for all machines of a host.
#[derive(Debug)]
pub struct Qemu {
    accelerator: Accelerator,
    version: String,
}

impl Qemu {
    /// A driver that runs guests by `accelerator`.
    ///
    /// # Errors
    /// [`VmError::Spawn`] when the program is missing.
    pub async fn new(accelerator: Accelerator) -> Result<Self, VmError> {
        let asked = crate::sys::command::run(PROGRAM, &["--version"], None).await;
        let output = asked.map_err(|error| VmError::Spawn {
            program: PROGRAM.into(),
            source: io::Error::other(error),
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().next().unwrap_or_default().to_owned();
        Ok(Self { accelerator, version })
    }

    /// The version line of the program.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    fn spawn(&self, plan: &Plan<'_>) -> Result<(Running, UnixStream), VmError> {
        let dir = &plan.home.dir;
        let io = |what: &'static str| VmError::io(what);
        let monitor = socket::listen(dir, MONITOR_SOCKET).map_err(io("cannot bind the monitor"))?;
        let control =
            socket::listen(dir, CONTROL_SOCKET).map_err(io("cannot bind the control line"))?;
        let mut inherited: Vec<BorrowedFd<'_>> = vec![monitor.as_fd(), control.as_fd()];
        let start = match &plan.start {
            PlannedStart::Boot { kernel, initramfs, command_line } => {
                Start::Boot { kernel, initramfs, command_line }
            }
            PlannedStart::Restore { state } => {
                inherited.push(state.as_fd());
                Start::Restore { state_fd: state.as_raw_fd() }
            }
        };
        let arguments = Arguments {
            name: &plan.home.name,
            accelerator: self.accelerator,
            shape: plan.shape,
            memory: plan.memory,
            disks: plan.disks,
            monitor_fd: monitor.as_raw_fd(),
            control_fd: control.as_raw_fd(),
            start,
        }
        .to_vec();
        // Connected before the VMM starts: the kernel queues us until it listens.
        let line =
            socket::connect(dir, CONTROL_SOCKET).map_err(io("cannot reach the control line"))?;
        let log = File::create(dir.join(LOG)).map_err(io("cannot make the VMM's log"))?;
        let spawn = Spawn {
            program: PROGRAM,
            arguments: &arguments,
            dir,
            log,
            network: plan.slot.namespace(),
            inherited: &inherited,
        };
        let mut child =
            spawn.run().map_err(|source| VmError::Spawn { program: PROGRAM.into(), source })?;
        let process = match Watched::open(child.id()) {
            Ok(process) => process,
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(io("cannot watch the VMM")(error));
            }
        };
        Ok((Running { process, child: Mutex::new(Some(child)), dir: dir.clone() }, line))
    }
}

struct Plan<'a> {
    home: &'a Home,
    shape: Shape,
    memory: &'a Path,
    disks: &'a Disks,
    slot: &'a Slot,
    start: PlannedStart<'a>,
}

enum PlannedStart<'a> {
    Boot { kernel: &'a Path, initramfs: &'a Path, command_line: String },
    Restore { state: BorrowedFd<'a> },
}

#[async_trait]
impl Hypervisor for Qemu {
    fn identity(&self) -> String {
        format!("{} microvm {} {}", self.version, self.accelerator, host::processor_model())
    }

    fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    async fn boot(&self, spec: BootSpec) -> Result<Started, VmError> {
        let mut command_line = String::from(
            "console=ttyS0 quiet loglevel=3 panic=-1 reboot=t random.trust_cpu=on \
             mitigations=off audit=0 ",
        );
        if self.accelerator == Accelerator::Tcg {
            // Under TCG the guest reads the host's counter, but calibrating it
            // against an emulated timer fails on a busy host: say its rate.
            let khz = host::tsc_khz(Duration::from_millis(200));
            command_line.push_str(&format!("tsc=reliable tsc_early_khz={khz} "));
        }
        command_line.push_str(&spec.command_line);
        let plan = Plan {
            home: &spec.home,
            shape: spec.shape,
            memory: &spec.memory,
            disks: &spec.disks,
            slot: &spec.slot,
            start: PlannedStart::Boot {
                kernel: &spec.kernel,
                initramfs: &spec.initramfs,
                command_line,
            },
        };
        let (running, control) = self.spawn(&plan)?;
        Ok(Started { machine: Arc::new(running), control })
    }

    async fn restore(&self, spec: RestoreSpec) -> Result<Started, VmError> {
        let state = File::open(&spec.device_state)
            .map_err(VmError::io("cannot open the saved device state"))?;
        let plan = Plan {
            home: &spec.home,
            shape: spec.shape,
            memory: &spec.memory,
            disks: &spec.disks,
            slot: &spec.slot,
            start: PlannedStart::Restore { state: state.as_fd() },
        };
        let (running, mut control) = self.spawn(&plan)?;
        if let Err(error) = control.write_all(&spec.first_words).await {
            running.kill().await?;
            return Err(VmError::io("cannot write to the control line")(error));
        }
        Ok(Started { machine: Arc::new(running), control })
    }

    async fn find(&self, owner: &str) -> Result<Vec<(MachineName, u32)>, VmError> {
        let found = with_argument(PROGRAM, "-name").map_err(VmError::io("cannot read /proc"))?;
        Ok(found
            .into_iter()
            .filter_map(|(pid, value)| {
                let name = MachineName::from_argument(value.split(',').next()?)?;
                (name.owner == owner).then_some((name, pid))
            })
            .collect())
    }

    async fn adopt(&self, home: Home, pid: u32) -> Result<Started, VmError> {
        let process = Watched::open(pid).map_err(VmError::io("cannot watch the VMM"))?;
        let control = socket::connect(&home.dir, CONTROL_SOCKET)
            .map_err(VmError::io("cannot reach the control line"))?;
        let running = Running { process, child: Mutex::new(None), dir: home.dir };
        Ok(Started { machine: Arc::new(running), control })
    }

    async fn kill(&self, name: &MachineName, pid: u32) -> Result<(), VmError> {
        let Ok(process) = Watched::open(pid) else { return Ok(()) };
        // The id may have been given to another process since it was found.
        if self.find(&name.owner).await?.contains(&(name.clone(), pid)) {
            Running { process, child: Mutex::new(None), dir: PathBuf::new() }.kill().await?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Running {
    process: Watched,
    /// Ours to reap, unless it was started by an earlier server.
    child: Mutex<Option<Child>>,
    dir: PathBuf,
}

impl Running {
    async fn monitor(&self) -> Result<Qmp, VmError> {
        let stream = socket::connect(&self.dir, MONITOR_SOCKET)
            .map_err(VmError::io("cannot reach the VMM's monitor"))?;
        Qmp::handshake(stream).await
    }

    /// One command; a VMM that dies meanwhile ends the wait at once.
    async fn command(&self, command: &str, arguments: serde_json::Value) -> Result<(), VmError> {
        tokio::select! {
            outcome = async { self.monitor().await?.execute(command, arguments).await } => {
                outcome.map(drop)
            }
            said = self.exited() => Err(VmError::Exited { said }),
        }
    }

    fn reap(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            let _ = child.wait();
        }
    }
}

#[async_trait]
impl Machine for Running {
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    async fn pause(&self) -> Result<(), VmError> {
        self.command("stop", json!({})).await
    }

    async fn resume(&self) -> Result<(), VmError> {
        self.command("cont", json!({})).await
    }

    async fn save_device_state(&self, path: &Path) -> Result<(), VmError> {
        let arguments = json!({ "filename": path, "live": false });
        self.command("xen-save-devices-state", arguments).await
    }

    async fn kill(&self) -> Result<(), VmError> {
        self.process.kill().map_err(VmError::io("cannot kill the VMM"))?;
        let gone = tokio::time::timeout(KILL_TIMEOUT, self.process.ended()).await;
        gone.map_err(|_| VmError::Timeout {
            command: "kill".into(),
            seconds: KILL_TIMEOUT.as_secs(),
        })?;
        self.reap();
        Ok(())
    }

    async fn exited(&self) -> String {
        self.process.ended().await;
        self.reap();
        let said = tail(&self.dir.join(LOG), REASON_BYTES);
        if said.is_empty() { "it said nothing".into() } else { said }
    }
}
