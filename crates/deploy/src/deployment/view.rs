//! Deployments as the API returns them.

use pando_store::DeploymentRow;
use pando_types::Timestamp;
use pando_types::app::Deployment;

use super::state;

/// A row as the API returns it; the log only where it is asked for.
pub(crate) fn deployment(row: &DeploymentRow) -> Deployment {
    Deployment {
        id: row.id,
        app_id: row.app,
        status: row.status,
        git_commit: row.commit.clone(),
        git_ref: row.git_ref.clone(),
        reason: row.reason.clone(),
        origin_id: row.origin,
        sandbox_id: row.sandbox,
        error: row.error.clone(),
        phases: state::phases(row),
        build_logs: None,
        created_at: row.created.to_rfc3339(),
        finished_at: row.finished.map(Timestamp::to_rfc3339),
    }
}
