//! What Pando asks of a hypervisor. Nothing above this crate knows which one it is.
//!
//! Restoring is the only way to create: [`Hypervisor::boot`] is for baking a
//! template, [`Hypervisor::restore`] for everything else.

pub mod null;
pub mod qemu;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::memory::{MemoryError, MemoryFiles, Saved};
use crate::network::{Slot, SlotNumber};
use crate::sys::durable;
use crate::sys::process::Work;

/// How many empty spare disks each machine is baked with, beside its root disk.
pub const SPARE_DISKS: usize = 3;
/// How long a saved device state may be, in bytes: they are some 50,000.
pub const MAX_DEVICE_STATE_BYTES: u64 = 64 << 20;
/// The size of a spare disk as the guest sees it, in bytes: 64 GiB, sparse.
pub const SPARE_DISK_BYTES: u64 = 64 << 30;

/// The fixed size of a machine: each is a baked variant of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// vCPUs.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
}

impl Shape {
    /// Memory in bytes.
    #[must_use]
    pub fn memory_bytes(self) -> u64 {
        u64::from(self.memory_mib) << 20
    }
}

/// What the host keeps in memory of a machine's disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// What is read and written goes through the host's page cache. A write is refused at
    /// once where the file system finds no room for it.
    Host,
    /// Nothing. For files on a disk that may turn out smaller than its file system thinks,
    /// as one in a sparse file is: what is in the page cache would be lost without a word
    /// when it is written back, after the guest was told that it was written.
    None,
}

/// How guest instructions are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accelerator {
    /// By the processor's virtualization extensions.
    Kvm,
    /// By QEMU's own translation: works anywhere, 5 to 20 times slower.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

/// The disk files of one machine.
#[derive(Debug, Clone)]
pub struct Disks {
    /// The root disk, raw, private to this machine.
    pub root: PathBuf,
    /// What stands in each spare slot; an empty slot swallows writes and takes no space.
    pub spares: [Option<PathBuf>; SPARE_DISKS],
}

/// Where one machine lives on the host.
#[derive(Debug, Clone)]
pub struct Home {
    /// Its folder: sockets, console and VMM log are made here.
    pub dir: PathBuf,
    /// The name that its process carries, so that a restarted server finds it.
    pub name: MachineName,
}

/// The name in a VMM's arguments: which node it belongs to, and what it runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MachineName {
    /// The owner: a node id, or a test's.
    pub owner: String,
    /// What runs: a sandbox id, or a bake's name.
    pub machine: String,
}

impl MachineName {
    pub(crate) fn to_argument(&self) -> String {
        format!("pando:{}:{}", self.owner, self.machine)
    }

    pub(crate) fn from_argument(argument: &str) -> Option<Self> {
        let (owner, machine) = argument.strip_prefix("pando:")?.split_once(':')?;
        Some(Self { owner: owner.to_owned(), machine: machine.to_owned() })
    }
}

/// A machine that runs, whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMachine {
    /// What its arguments say that it is. They stand in memory of its own: a VMM that its
    /// guest took over may say anything there, or nothing.
    pub name: Option<MachineName>,
    /// The slot that it was started in, by what the kernel keeps of it and it cannot change.
    pub slot: Option<SlotNumber>,
    /// Its process id.
    pub pid: u32,
}

/// What a first boot needs.
#[derive(Debug, Clone)]
pub struct BootSpec {
    /// Where it lives.
    pub home: Home,
    /// Its size.
    pub shape: Shape,
    /// The kernel image.
    pub kernel: PathBuf,
    /// The initramfs, whose `/init` is the guest agent.
    pub initramfs: PathBuf,
    /// Added to the driver's own kernel command line.
    pub command_line: String,
    /// The file that becomes the guest's memory: made here, shared, kept.
    pub memory: PathBuf,
    /// Its disks.
    pub disks: Disks,
    /// Its network.
    pub slot: Arc<Slot>,
}

/// What a restore needs.
#[derive(Debug, Clone)]
pub struct RestoreSpec {
    /// Where it lives.
    pub home: Home,
    /// Its size: must be the one it was baked with.
    pub shape: Shape,
    /// What its memory begins as, mapped privately: never written.
    pub memory: MemoryFiles,
    /// The saved device state.
    pub device_state: PathBuf,
    /// Its disks.
    pub disks: Disks,
    /// Its network.
    pub slot: Arc<Slot>,
    /// What the guest finds on its control line when it wakes, before its first instruction.
    pub first_words: Vec<u8>,
}

/// A machine that runs, and the host's end of its control line.
pub struct Started {
    /// The machine.
    pub machine: Arc<dyn Machine>,
    /// Its control line (see `pando_guest_protocol::control`).
    pub control: UnixStream,
}

/// Makes and finds machines.
#[async_trait]
pub trait Hypervisor: Send + Sync + 'static {
    /// What goes into the hash of a baked machine beside kernel, disk and agent: a
    /// saved device state is only good for the same VMM, machine and processor model.
    fn identity(&self) -> String;

    /// How instructions are run.
    fn accelerator(&self) -> Accelerator;

    /// Boots a machine whose memory file will be kept.
    async fn boot(&self, spec: BootSpec) -> Result<Started, VmError>;

    /// Restores a machine. It runs when this returns, or soon after: what it was
    /// to hear first was on its control line before.
    async fn restore(&self, spec: RestoreSpec) -> Result<Started, VmError>;

    /// Finds the machines that are running now and that were started in this server's
    /// place, or say that they are `owner`'s.
    async fn find(&self, owner: &str) -> Result<Vec<FoundMachine>, VmError>;

    /// Takes over a running machine found by [`Hypervisor::find`].
    async fn adopt(&self, home: Home, pid: u32) -> Result<Started, VmError>;

    /// Ends a machine found by [`Hypervisor::find`] for that owner, and returns when it is gone.
    async fn kill(&self, owner: &str, found: &FoundMachine) -> Result<(), VmError>;
}

/// One running machine.
#[async_trait]
pub trait Machine: Send + Sync + fmt::Debug {
    /// The VMM's process id.
    fn pid(&self) -> u32;

    /// What it has worked; `None` when it is gone.
    fn worked(&self) -> Option<Work>;

    /// Stops the vCPUs and flushes the disks.
    async fn pause(&self) -> Result<(), VmError>;

    /// Lets the vCPUs run.
    async fn resume(&self) -> Result<(), VmError>;

    /// Saves the device state of a paused machine. Memory and disks are files already.
    async fn save_device_state(&self, path: &Path) -> Result<(), VmError>;

    /// Saves the memory of a paused machine in the folder `to`, where there is none. `from`
    /// is what it was restored from, on the same file system. At most `room_bytes` are
    /// written, and no further than the page cache.
    async fn save_memory(
        &self,
        from: &MemoryFiles,
        to: &Path,
        room_bytes: u64,
    ) -> Result<Saved, VmError>;

    /// Kills the VMM; returns when its process is gone. Fine when it was gone before.
    async fn kill(&self) -> Result<(), VmError>;

    /// Returns when the VMM's process is gone, with what it said last.
    async fn exited(&self) -> String;
}

/// Why a machine could not be made or moved.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// The VMM program could not be started.
    #[error("cannot start {program}")]
    Spawn {
        /// Which program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It could not be caged, so it does not run.
    #[error("the VMM could not be caged")]
    Cage(#[from] crate::cage::CageError),
    /// Its memory could not be saved.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The VMM's process ended when it should not.
    #[error("the VMM ended: {said}")]
    Exited {
        /// The last lines of its log.
        said: String,
    },
    /// The VMM did not answer within its time.
    #[error("the VMM did not answer `{command}` within {seconds} s")]
    Timeout {
        /// What it was asked.
        command: String,
        /// How long it was given.
        seconds: u64,
    },
    /// The VMM refused a command.
    #[error("the VMM refused `{command}`: {message}")]
    Refused {
        /// What it was asked.
        command: String,
        /// What it said.
        message: String,
    },
    /// The VMM said something that is not its protocol.
    #[error("the VMM broke its protocol: {0}")]
    Protocol(String),
    /// A file or socket of the machine.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl VmError {
    /// Whether the disk is full.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::Memory(MemoryError::NoRoom { .. }) => true,
            Self::Memory(MemoryError::Write(source)) | Self::Io { source, .. } => {
                durable::is_out_of_space(source)
            }
            _ => false,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
