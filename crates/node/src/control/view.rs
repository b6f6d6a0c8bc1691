//! What an owner sees: intent and observation combined, pure.

use pando_store::{Actual, Desired, MadeOf, SandboxRow};
use pando_types::sandbox::{Sandbox, SandboxStatus};
use pando_types::url::PublicUrls;

use super::volumes;

/// The status that intent and observation make together.
pub(super) fn status(desired: Desired, actual: Actual) -> SandboxStatus {
    match (desired, actual) {
        (_, Actual::Deleted) => SandboxStatus::Deleted,
        (Desired::Deleted, _) => SandboxStatus::Stopping,
        (_, Actual::Creating) => SandboxStatus::Creating,
        (_, Actual::Running) => SandboxStatus::Running,
        (_, Actual::Paused) => SandboxStatus::Paused,
        (_, Actual::Hibernated) => SandboxStatus::Hibernated,
        (_, Actual::Failed) => SandboxStatus::Failed,
    }
}

/// A row as its owner sees it.
pub(super) fn sandbox(row: &SandboxRow, urls: &PublicUrls, guest_ip: &str) -> Sandbox {
    let (boot_mode, from_snapshot) = match row.made_of {
        MadeOf::Template => ("snapshot", None),
        MadeOf::Snapshot(id) => ("snapshot", Some(id.to_string())),
        MadeOf::Fork(_) => ("fork", None),
    };
    Sandbox {
        id: row.id,
        template: row.template.clone(),
        cpu: row.cpu,
        memory_mb: row.memory_mib,
        status: status(row.desired, row.actual),
        status_reason: row.reason.clone(),
        guest_ip: guest_ip.to_owned(),
        created_at: row.created.to_rfc3339(),
        expires_at: row.deadline.map(|deadline| deadline.to_rfc3339()),
        metadata: row.metadata.clone(),
        from_snapshot,
        boot_ms: row.boot_ms,
        boot_mode: boot_mode.to_owned(),
        persistent: row.persistent,
        url_template: urls.port_template(row.id),
        volumes: row.volumes.iter().map(volumes::attached).collect(),
    }
}
