//! `/v1/snapshots`: a file per verb. They are taken under `/v1/sandboxes`.

pub mod delete;
pub mod get;
pub mod list;

use pando_types::SnapshotId;

use crate::extract;
use crate::refusal::Refused;

/// The snapshot id in a path.
fn snapshot_id(text: &str) -> Result<SnapshotId, Refused> {
    Ok(extract::id("snapshot", text)?)
}
