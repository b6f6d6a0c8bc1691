//! Snapshots and forks on the wire: routes under `/v1/snapshots`, and those of a sandbox
//! that make or end copies of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{SandboxId, SnapshotId};
use crate::sandbox::Sandbox;

/// The metadata key under which the children of one fork-tree have its id.
pub const TREE_KEY: &str = "fork_tree_id";
/// The metadata key by which a child asks to be removed after so many seconds.
pub const EXPLORE_TTL_KEY: &str = "explore_ttl";

/// `POST /v1/sandboxes/{id}/snapshots`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct TakeSnapshot {
    /// What people call it: 1 to 100 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
}

/// A snapshot: memory, disks and devices of one sandbox at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// The id, which `from_snapshot` of a create takes.
    pub id: SnapshotId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The sandbox it was taken of; it may be gone.
    pub sandbox_id: SandboxId,
    /// The template that the sandbox goes back to.
    pub template: String,
    /// vCPUs.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Bytes of its memory and disks that it alone holds now, which are free when it is
    /// deleted. It grows as what it was taken of goes, or writes anew.
    pub size_bytes: u64,
    /// Bytes that others hold as well now: its sandbox, what that was made of, and what was
    /// made of this. Of both, a list of many may tell of the last ones what held when they
    /// were taken.
    pub shared_bytes: u64,
    /// How long the sandbox stood still for it, in milliseconds.
    pub pause_ms: u64,
    /// When it was taken: RFC 3339, UTC.
    pub created_at: String,
}

/// A page of `GET /v1/snapshots`. Public clients look for this name, not for `items`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Snapshots {
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    /// What to send as `cursor` for the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// `POST /v1/sandboxes/{id}/fork`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Fork {
    /// Pairs of the child, instead of its parent's.
    #[serde(default)]
    #[schema(schema_with = crate::schema::metadata)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// `POST /v1/sandboxes/{id}/fork-tree`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ForkTree {
    /// How many children: 1 to 16.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(value_type = i64, minimum = 1, maximum = 16, required)]
    pub count: Option<i64>,
    /// Pairs of each child, instead of its parent's. `explore_ttl` is a number of seconds after
    /// which it is removed.
    #[serde(default)]
    #[schema(schema_with = crate::schema::metadata)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// The children of one fork-tree: all of the same instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Children {
    /// The id of the tree, which each child has as `fork_tree_id` in its metadata.
    pub tree_id: String,
    /// The children.
    pub children: Vec<Sandbox>,
    /// How long the parent stood still for it, in milliseconds.
    pub pause_ms: u64,
}

/// `POST /v1/sandboxes/{id}/promote`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Promote {
    /// Whether the other children of the tree are removed.
    #[serde(default)]
    pub cleanup_siblings: bool,
    /// The tree; the child's own when absent.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64)]
    pub tree_id: Option<String>,
}

/// What a promotion did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Promoted {
    /// The child that stays.
    pub winner: SandboxId,
    /// Its tree.
    pub tree_id: String,
    /// The siblings that are gone.
    pub deleted: Vec<SandboxId>,
    /// The siblings that are not, and why.
    pub failures: BTreeMap<String, String>,
}
