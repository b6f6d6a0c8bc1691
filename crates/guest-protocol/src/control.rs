//! The control line: newline-delimited JSON over virtio-serial.
//!
//! The host may connect again at any time (the server was restarted); it then
//! sends an empty line first, which ends whatever half line was left.

use serde::{Deserialize, Serialize};

/// The longest line either side accepts, in bytes without its newline.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// Host to guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToGuest {
    /// After a restore, before anything else runs: become this machine.
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
    /// Stop cleanly: end processes, sync disks, power off.
    Shutdown,
}

/// Who a restored guest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// 64 hex digits of host randomness, credited to the kernel's pool before it is reseeded.
    pub seed: String,
    /// The host's wall clock, in nanoseconds since the epoch.
    pub wall_clock_ns: u64,
    /// The new hostname: `[a-z0-9-]`, at most 63 characters.
    pub hostname: String,
    /// The new `/etc/machine-id`: 32 hex digits.
    pub machine_id: String,
    /// The token that sessions must show (64 hex digits).
    pub token: String,
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
    Ready,
    /// [`ToGuest::Attached`] was carried out.
    Attached,
    /// A request on this line could not be carried out.
    Failed {
        /// What failed.
        message: String,
    },
}
