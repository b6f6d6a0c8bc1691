//! Volumes on the wire: routes under `/v1/volumes`, and what a create says of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{SandboxId, VolumeId};
use crate::limits::MAX_VOLUME_NAME_BYTES;
use crate::schema::value::VolumeName;

/// Where volumes are mounted, each in a folder of its name.
pub const MOUNTS: &str = "/volumes";

/// `POST /v1/volumes`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateVolume {
    /// What it is called, and where it is mounted: `/volumes/NAME`.
    #[schema(value_type = VolumeName)]
    pub name: String,
    /// Its size in MiB, 16 to 65536. It takes as much disk as is written to it.
    #[serde(deserialize_with = "crate::number::required_whole")]
    #[schema(minimum = 16, maximum = 65_536)]
    pub size_mb: i64,
}

/// A volume: a disk with a file system of its own, that outlives the sandboxes it is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Volume {
    /// Its id, which stays the same whatever takes its name later.
    pub id: VolumeId,
    /// What it is called, one of its org.
    pub name: String,
    /// Its size in MiB.
    pub size_mb: u32,
    /// The same in bytes.
    pub size_bytes: u64,
    /// The sandbox that may write to it, running or asleep; null when there is none.
    pub attached_to: Option<SandboxId>,
    /// When it was made: RFC 3339, UTC.
    pub created_at: String,
}

/// A volume for a new sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachVolume {
    /// The volume.
    #[schema(value_type = VolumeName)]
    pub name: String,
    /// Whether it is a copy of the volume as it is now, that nothing is written to. Any number of
    /// sandboxes may have one, also while another writes to the volume.
    #[serde(default)]
    pub read_only: bool,
}

/// A volume, or a copy of one, in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachedVolume {
    /// What the volume is called.
    pub name: String,
    /// Whether it is a copy of the moment when it was attached, that nothing is written to.
    pub read_only: bool,
    /// Whether it is the copy that came with the snapshot, or the sandbox, that this one was made
    /// of. What is written to it goes with this sandbox.
    pub copy: bool,
    /// Where it is mounted.
    pub path: String,
}

/// Where a volume is mounted.
#[must_use]
pub fn path(name: &str) -> String {
    format!("{MOUNTS}/{name}")
}

/// Whether a volume may be called so.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: &u8| plain(byte) || matches!(byte, b'-' | b'_');
    (1..=MAX_VOLUME_NAME_BYTES).contains(&text.len())
        && text.as_bytes().first().is_some_and(plain)
        && text.as_bytes().iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        for name in ["a", "0", "data-1", "a_b", &"a".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "_a", "A", "a/b", "..", "a.b", "\u{e4}", "a b", &"a".repeat(64)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
