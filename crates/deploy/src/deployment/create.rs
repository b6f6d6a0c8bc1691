//! Making a deployment: a row that waits for a worker.

use pando_store::{AppRow, DeploymentRow, Entered, StoreError, Tx};
use pando_types::DeploymentId;
use pando_types::app::DeploymentStatus;

use super::reason::Reason;
use super::supersede;
use crate::context::Effects;
use crate::forge::report;
use crate::job::{self, Kind};

/// [`create_as`] of a new id.
pub(crate) async fn create(
    tx: &mut Tx,
    app: &AppRow,
    git_ref: &str,
    commit: &str,
    reason: Reason,
    effects: &mut Effects,
) -> Result<DeploymentRow, StoreError> {
    create_as(DeploymentId::new(), tx, app, git_ref, commit, reason, effects).await
}

/// Puts a deployment of `git_ref` at `commit` (empty where the ref is still to be
/// resolved) in the queue. Older ones of the app that are under way stop.
pub(crate) async fn create_as(
    id: DeploymentId,
    tx: &mut Tx,
    app: &AppRow,
    git_ref: &str,
    commit: &str,
    reason: Reason,
    effects: &mut Effects,
) -> Result<DeploymentRow, StoreError> {
    supersede::all_open(tx, app, effects).await?;
    let now = tx.now();
    let row = DeploymentRow {
        id,
        org: app.org,
        app: app.id,
        status: DeploymentStatus::Queued,
        commit: commit.to_owned(),
        git_ref: git_ref.to_owned(),
        reason: reason.as_str().to_owned(),
        sandbox: None,
        error: None,
        plan: None,
        history: vec![Entered { status: DeploymentStatus::Queued, at_ms: now }],
        attempt: 1,
        created: now,
        finished: None,
    };
    tx.deployment_insert(&row).await?;
    job::put_deployment(tx, Kind::Deploy, app.id, row.id, now).await?;
    effects.wake.push(Kind::Deploy);
    report::put(tx, app, &row, effects).await?;
    Ok(row)
}
