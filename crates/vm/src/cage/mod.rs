//! What holds a VMM: a guest that breaks out of it finds an empty room.
//!
//! ```text
//! server ── clone ──► enter ─────────────────────────────────► exec ──► VMM
//!   own PID namespace   tap of its slot, then the room's mount,    holds what it was handed,
//!   own cgroup          network, IPC and UTS namespaces, limits,   opens the room's few files
//!                       own user, no capability, filter            to read, and nothing else
//! ```
//!
//! The room (`room`) is made once per server and holds a copy of the VMM program
//! with its libraries, two harmless devices, and no network link. All VMMs share
//! it, for it is read-only and nothing in it belongs to one of them. Whatever does
//! is a descriptor that the VMM inherits: disks, tap, sockets, device state; its
//! memory's files are handed over when it asks (`sys::seccomp`). So a VMM
//! owns no file, finds no path to one, and can make none.
//!
//! Every step of `entry` must succeed: a VMM that is not caged does not run.

mod entry;
mod folder;
mod occupants;
mod room;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

pub use self::entry::Step;
use self::entry::{Entry, Report};
pub(crate) use self::folder::Furniture;
use self::occupants::group_name;
pub(crate) use self::room::{BOOT_DIR, Room};
use crate::network::SlotNumber;
use crate::sys::cgroup::{self, Groups};
use crate::sys::command::CommandError;
use crate::sys::process::{Watched, set_oom_score};
use crate::sys::seccomp::{Filter, Listener};

/// The user id of slot 0's VMM where the operator says nothing: in what systemd's
/// table of ids (<https://systemd.io/UIDS-GIDS/>) leaves unused.
pub const DEFAULT_FIRST_UID: u32 = 1_900_000_000;
/// What the library `pando-vmm-preload` is called.
pub const PRELOAD_FILE: &str = "libpando_vmm_preload.so";
/// How many user ids a server may use, one for each slot.
pub const UIDS: u32 = 4096;
/// Memory that a VMM may take beside its guest's, in bytes: code cache, stacks,
/// and the page cache of its disks.
pub const VMM_OVERHEAD_BYTES: u64 = 512 << 20;
/// The same for what it may map, in bytes: most of it is never touched.
const MAPPED_OVERHEAD_BYTES: u64 = 2 << 30;
/// Threads of one VMM: vCPUs, a few of its own, and up to 64 for each disk.
const THREADS: u32 = 320;
/// Open files of one VMM.
const OPEN_FILES: u64 = 256;
/// Processors' worth of time that a VMM may take beside its vCPUs.
const SPARE_CPUS: u32 = 1;
/// When the host's memory is used up, a VMM goes before the server and the host's own
/// programs: it loses one sandbox.
const OOM_SCORE: i16 = 300;
/// How long a VMM may take from its making to its program's first instruction.
const ENTRY_LIMIT: Duration = Duration::from_secs(30);
/// How long the program may take to ask for its memory: 20 ms on a quiet host.
const HANDOVER_LIMIT: Duration = Duration::from_secs(60);

/// What an operator decides about cages.
#[derive(Debug, Clone)]
pub struct CageConfig {
    /// Where the room's files are kept.
    pub folder: PathBuf,
    /// Names the rooms and the control group of all machines: different for each server of
    /// a host, and without white space.
    pub group: String,
    /// The user and group id of slot 0's VMM; the other slots' follow.
    pub first_uid: u32,
    /// The library `pando-vmm-preload`; it is built and installed beside `pando`.
    pub preload: PathBuf,
}

/// Why a VMM could not be caged.
#[derive(Debug, thiserror::Error)]
pub enum CageError {
    /// The user ids are not to be had.
    #[error(
        "user ids {first} to {} are not mapped here; give a range that is, with --vm-uid-base",
        first + (UIDS - 1)
    )]
    Ids {
        /// The first of them.
        first: u32,
    },
    /// A tool.
    #[error("what the room is to hold")]
    Tool(#[from] CommandError),
    /// The room.
    #[error("{what}")]
    Room {
        /// What was done.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The control group.
    #[error("the machine's control group")]
    Group(#[source] io::Error),
    /// A new process.
    #[error("a new process")]
    Clone(#[source] io::Error),
    /// A step of going in.
    #[error("step `{step}` of going into the cage")]
    Entry {
        /// Which one.
        step: Step,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It ended, or said nothing, on the way in.
    #[error("the way into the cage: {0}")]
    Lost(&'static str),
    /// Handing over the memory.
    #[error("handing over the memory file")]
    Handover(#[source] io::Error),
}

pub(crate) fn room_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> CageError {
    let what = what.into();
    move |source| CageError::Room { what, source }
}

/// Makes cages; one for a server.
#[derive(Debug)]
pub(crate) struct Cage {
    config: CageConfig,
    folder: PathBuf,
    program: CString,
    devices: Vec<room::Device>,
    room: Room,
    groups: Option<Groups>,
    filter: Filter,
}

/// Who goes into a cage, and with what.
pub(crate) struct Occupant<'a> {
    /// Its slot: gives it its user and its tap.
    pub slot: SlotNumber,
    /// The network namespace that its tap is in.
    pub network: BorrowedFd<'a>,
    /// The descriptor that becomes the tap.
    pub tap: BorrowedFd<'a>,
    /// Its program's arguments, after the program's name.
    pub arguments: &'a [String],
    /// Where its standard output and error go.
    pub log: BorrowedFd<'a>,
    /// Descriptors it inherits, under the same numbers.
    pub inherited: &'a [BorrowedFd<'a>],
    /// What it is handed when it opens [`MEMORY_PATH`], and before that the layers over it.
    pub memory: &'a [BorrowedFd<'a>],
    /// The room, where it is not everybody's.
    pub room: Option<&'a Room>,
    /// vCPUs.
    pub cpus: u32,
    /// The guest's memory in bytes.
    pub memory_bytes: u64,
    /// The length of the largest file that it may write, in bytes.
    pub largest_file_bytes: u64,
}

/// The path that stands for the memory file; there is no file of that name.
pub(crate) const MEMORY_PATH: &str = "/memory";
/// Tells `pando-vmm-preload` how many layers are over it. Each stands at a path that ends
/// in its number, and is asked for before the first instruction of the VMM itself.
const LAYERS_VARIABLE: &str = "PANDO_MEMORY_LAYERS";

/// A process in its cage.
#[derive(Debug)]
pub(crate) struct Caged {
    pub process: Watched,
    /// Its control group.
    pub group: Option<PathBuf>,
}

impl Cage {
    /// Prepares the room for `furniture`, and the control group.
    ///
    /// # Errors
    /// Any [`CageError`].
    pub(crate) async fn prepare(
        config: CageConfig,
        furniture: &Furniture,
    ) -> Result<Self, CageError> {
        if !ids_are_mapped(config.first_uid) {
            return Err(CageError::Ids { first: config.first_uid });
        }
        let folder = folder::fill(&config.folder, furniture).await?;
        let mut devices = vec![room::Device::NULL, room::Device::URANDOM];
        if furniture.kvm {
            devices.push(room::Device::KVM);
        }
        let room = Room::make(&folder, &config.group, &devices, &[])?;
        let groups = Groups::prepare(&config.group).map_err(CageError::Group)?;
        match &groups {
            Some(groups) if groups.controllers().len() == cgroup::Controller::ALL.len() => {}
            _ => tracing::warn!(
                "machines run without some limits of a control group; `pando doctor` names them"
            ),
        }
        let program = CString::new(furniture.program.as_os_str().as_encoded_bytes())
            .map_err(|error| room_error("the program's path")(error.into()))?;
        Ok(Self { config, folder, program, devices, room, groups, filter: Filter::new() })
    }

    /// A room that also holds these files, in [`BOOT_DIR`], under these names.
    ///
    /// # Errors
    /// Any [`CageError`].
    pub(crate) fn room_with(&self, files: &[(&str, &Path)]) -> Result<Room, CageError> {
        Room::make(&self.folder, &self.config.group, &self.devices, files)
    }

    /// Starts the program in a cage of its own, and returns when it has its memory.
    ///
    /// # Errors
    /// Any [`CageError`]; nothing runs then.
    pub(crate) async fn spawn(&self, occupant: Occupant<'_>) -> Result<Caged, CageError> {
        let limits = cgroup::Limits {
            cpus: occupant.cpus + SPARE_CPUS,
            memory_bytes: occupant.memory_bytes + VMM_OVERHEAD_BYTES,
            threads: THREADS,
        };
        let name = group_name(occupant.slot);
        let group = match &self.groups {
            Some(groups) => Some(groups.create(&name, &limits).map_err(CageError::Group)?),
            None => None,
        };
        let nowhere = File::open("/dev/null").map_err(room_error("/dev/null"))?;
        let memory = in_order(occupant.memory);
        let environment = environment(memory.len().saturating_sub(1));
        let entry = Entry {
            program: &self.program,
            arguments: occupant.arguments,
            environment: &environment,
            stdin: nowhere.as_fd(),
            log: occupant.log,
            inherited: occupant.inherited,
            network: occupant.network,
            tap: occupant.tap,
            room: occupant.room.unwrap_or(&self.room),
            id: self.config.first_uid + occupant.slot.number(),
            open_files: OPEN_FILES,
            threads: THREADS.into(),
            file_bytes: occupant.largest_file_bytes,
            mapped_bytes: occupant.memory_bytes + MAPPED_OVERHEAD_BYTES,
            filter: &self.filter,
        };
        let mut unfinished = Unfinished {
            process: None,
            group: group.as_ref().map(|group| group.path().to_owned()),
        };
        let (process, report) = entry::begin(&entry, group.as_ref().map(AsFd::as_fd))?;
        let process = unfinished.process.insert(process);
        if let Err(error) = set_oom_score(process.pid(), OOM_SCORE) {
            tracing::warn!(%error, "the kernel may end another process before this VMM");
        }
        let listener = timeout(ENTRY_LIMIT, listener(&report))
            .await
            .map_err(|_| CageError::Lost("it took too long"))??;
        let handing_over = async {
            let listener = Listener::new(listener)?;
            listener.hand_over(&memory).await
        };
        tokio::select! {
            outcome = timeout(HANDOVER_LIMIT, handing_over) => {
                let outcome = outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                outcome.map_err(CageError::Handover)?;
            }
            // It says why in its log, which is its machine's to read.
            () = process.ended() => {}
        }
        unfinished.finish()
    }
}

/// What a process is handed when it opens which path, in the order in which it does: the
/// layers of its memory from the lowest on, and then what they are over. So it has nothing
/// that it could run with before it has all.
fn in_order<'a>(memory: &[BorrowedFd<'a>]) -> Vec<(String, BorrowedFd<'a>)> {
    let mut files: Vec<_> = memory
        .iter()
        .enumerate()
        .map(|(layer, file)| match layer {
            0 => (MEMORY_PATH.to_owned(), *file),
            layer => (format!("{MEMORY_PATH}-{layer}"), *file),
        })
        .collect();
    if !files.is_empty() {
        files.rotate_left(1);
    }
    files
}

/// What a process finds in its environment whose memory has so many layers.
fn environment(layers: usize) -> Vec<String> {
    match layers {
        0 => Vec::new(),
        _ => vec![
            format!("LD_PRELOAD={}", folder::PRELOAD_PATH),
            format!("{LAYERS_VARIABLE}={layers}"),
        ],
    }
}

/// Removes the control group of a machine that has ended.
pub(crate) async fn remove_group(path: Option<&Path>) {
    if let Some(path) = path
        && let Err(error) = cgroup::remove(path).await
    {
        // The next start, or the next machine in that slot, tries again.
        tracing::warn!(%error, group = %path.display(), "a control group stays");
    }
}

/// What the child says until its program runs.
async fn listener(report: &Report) -> Result<OwnedFd, CageError> {
    let mut listener = None;
    loop {
        match report.next().await.map_err(CageError::Clone)? {
            entry::Said::Listener(fd) => listener = Some(fd),
            entry::Said::Failed(step, source) => return Err(CageError::Entry { step, source }),
            entry::Said::Nothing => break,
        }
    }
    listener.ok_or(CageError::Lost("it ended"))
}

/// What is taken apart when its making is given up.
struct Unfinished {
    process: Option<Watched>,
    group: Option<PathBuf>,
}

impl Unfinished {
    fn finish(mut self) -> Result<Caged, CageError> {
        let process = self.process.take().ok_or(CageError::Lost("it is gone"))?;
        Ok(Caged { process, group: self.group.take() })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            let _ = process.kill();
            process.wait();
        }
        if let Some(group) = &self.group {
            // Empty now. Should it stay, the next machine in that slot removes it.
            let _ = std::fs::remove_dir(group);
        }
    }
}

/// Whether this user namespace has the ids (user_namespaces(7)).
#[must_use]
pub fn ids_are_mapped(first: u32) -> bool {
    ["/proc/self/uid_map", "/proc/self/gid_map"].iter().all(|path| {
        let map = std::fs::read_to_string(path).unwrap_or_default();
        map.lines().any(|line| range_holds(line, first.into(), UIDS.into()))
    })
}

/// Whether a line of such a map (inside, outside, count) holds all of the range.
fn range_holds(line: &str, first: u64, count: u64) -> bool {
    let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
    let (start, _, length) = (numbers.next(), numbers.next(), numbers.next());
    let (start, length) = (start.unwrap_or(0), length.unwrap_or(0));
    first > 0 && start <= first && first + count <= start + length
}
