//! The control line: newline-delimited JSON over virtio-serial.
//!
//! The host may connect again at any time (the server was restarted); it then
//! sends an empty line first, which ends whatever half line was left.
//!
//! How a machine is copied, or put to sleep and woken:
//!
//! ```text
//! Freeze ─► Frozen ─► (the host pauses the machine and saves it)
//!   the same machine goes on:   resumed        ─► Thaw     ─► Thawed
//!   another is made of it:      a restore      ─► Restored ─► Ready
//! ```
//!
//! A host may be newer than the agent in a snapshot's memory: fields are added
//! with a default and unknown ones are passed over, and neither is ever renamed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest line either side accepts, in bytes without its newline.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// How long an agent keeps its machine's processes frozen by itself, in the machine's
/// own time, which stands still while the machine is paused. A host that has not
/// paused it long before has no snapshot.
pub const FROZEN_LIMIT: Duration = Duration::from_secs(30);

/// Host to guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToGuest {
    /// After a restore, before anything else runs: become this machine. Answered by
    /// [`ToHost::Ready`]. Processes that were frozen run again only then.
    Restored(Identity),
    /// After a restart of the server: the machine goes on as it is, sessions get a new token.
    Attached {
        /// The token that sessions must show from now on (64 hex digits).
        token: String,
    },
    /// What time it is, because time went by without the machine: between its restore's
    /// first words and its first instruction, or while it was paused. Not answered, so
    /// that an agent which does not know it is not waited for.
    Clock {
        /// The host's wall clock, in nanoseconds since the epoch.
        wall_clock_ns: u64,
    },
    /// What time does the guest think it is? Answered by [`ToHost::Clock`]: the host knows
    /// between which two moments of its own that was, however long a line was on its way.
    ReadClock {
        /// Comes back with the answer, for one may come after the next question.
        question: u64,
    },
    /// Move the wall clock by this much, which no time on the way makes wrong. Not answered.
    ShiftClock {
        /// Nanoseconds; back where negative.
        by_ns: i64,
    },
    /// Hold every process but the agent: the machine is about to be saved. Answered by
    /// [`ToHost::Frozen`], also when it was frozen before. After [`FROZEN_LIMIT`] the agent
    /// lets go by itself.
    Freeze {
        /// Before that, write what is dirty to the disks. What is saved of a machine has
        /// the same content without, part of it in memory.
        #[serde(default = "yes")]
        write_disks: bool,
    },
    /// The machine goes on as it is: correct the clock if it is off, and let processes
    /// run. Answered by [`ToHost::Thawed`], also when nothing was frozen.
    Thaw {
        /// The host's wall clock, in nanoseconds since the epoch.
        wall_clock_ns: u64,
    },
    /// Does anybody in the machine want it to stay awake? Answered by [`ToHost::Leases`].
    CountLeases,
    /// Stop cleanly: end processes, sync disks, power off.
    Shutdown,
}

/// What a host that knows of no choice means.
fn yes() -> bool {
    true
}

/// Who a restored guest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// 64 hex digits of host randomness, credited to the kernel's pool before it is reseeded.
    pub seed: String,
    /// The host's wall clock, in nanoseconds since the epoch.
    pub wall_clock_ns: u64,
    /// The token that sessions must show (64 hex digits).
    pub token: String,
    /// Which machine it is.
    pub who: Who,
    /// What it mounts before anything in it goes on. An agent that does not know this
    /// mounts nothing, and says so in [`ToHost::Ready`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
}

/// A spare disk with an ext4 on it, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Which of the spare disks, counted from 0: its serial is [`spare_serial`].
    pub spare: usize,
    /// Where: absolute and plain, made where it is missing.
    pub path: String,
    /// Whether nothing may be written there.
    pub read_only: bool,
    /// What is made of it there.
    #[serde(default, skip_serializing_if = "Layout::is_plain")]
    pub layout: Layout,
}

/// What a disk becomes in the machine that mounts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Its files, where it is mounted.
    #[default]
    Plain,
    /// An app: what is written to [`APP_FOLDER`] and, over the template's own, to
    /// [`APP_OVERLAYS`] is written to this disk, and goes where it goes.
    App,
}

/// Where the agent mounts an app's disk: out of the way, for what is seen of it is elsewhere.
pub const APP_DISK: &str = "/run/pando-app";
/// The folder of that disk that an image's tree is in, where the app is one.
pub const APP_IMAGE: &str = "/run/pando-app/image";
/// Where an app's sources are. A folder of the app's disk.
pub const APP_FOLDER: &str = "/app";

/// The folders of the template over which the app's disk lies (overlayfs): where package
/// managers and install commands put what they install. What is elsewhere, `/var` and `/tmp`
/// among it, stays with the machine: it is the state of what runs.
pub const APP_OVERLAYS: [&str; 5] = ["/etc", "/home", "/opt", "/root", "/usr"];

impl Layout {
    /// How many mounts it takes.
    #[must_use]
    pub const fn mounts(self) -> usize {
        match self {
            Self::Plain => 1,
            Self::App => 2 + APP_OVERLAYS.len(),
        }
    }

    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// The serial of a spare disk, by which a guest tells it from the others.
#[must_use]
pub fn spare_serial(spare: usize) -> String {
    format!("pando-spare{spare}")
}

/// Whether a restored guest is another machine than the one that was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A new one, made of a template, a snapshot or a running machine.
    Copy {
        /// The new hostname: `[a-z0-9-]`, at most 63 characters.
        hostname: String,
        /// The new `/etc/machine-id`: 32 hex digits.
        machine_id: String,
    },
    /// The same one, after it was asleep: it keeps its names.
    Woken,
}

/// Guest to host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToHost {
    /// The first boot is done and sessions are served: the machine may be snapshotted.
    Booted {
        /// The agent's version.
        agent: String,
    },
    /// [`ToGuest::Restored`] was carried out in full.
    Ready {
        /// How many mounts were made for it: [`Layout::mounts`] of each disk.
        #[serde(default)]
        mounted: usize,
    },
    /// [`ToGuest::Attached`] was carried out.
    Attached,
    /// The answer to [`ToGuest::ReadClock`].
    Clock {
        /// Which question it answers.
        question: u64,
        /// The guest's wall clock, in nanoseconds since the epoch.
        wall_clock_ns: u64,
    },
    /// [`ToGuest::Freeze`] was carried out: no process but the agent runs.
    Frozen,
    /// [`ToGuest::Thaw`] was carried out.
    Thawed,
    /// The answer to [`ToGuest::CountLeases`].
    Leases {
        /// How many leases programs hold now.
        held: u32,
    },
    /// A request on this line could not be carried out.
    Failed {
        /// What failed.
        message: String,
    },
}
