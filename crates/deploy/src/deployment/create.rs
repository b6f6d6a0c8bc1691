//! Making a deployment: a row that waits for a worker.

use pando_store::{AppRow, DeploymentRow, Entered, StoreError, Tx};
use pando_types::DeploymentId;
use pando_types::app::DeploymentStatus;

use super::reason::Reason;
use super::supersede;
use crate::context::Effects;
use crate::forge::report;
use crate::job::{self, Kind};

/// What is to be deployed.
pub(crate) struct Order<'a> {
    pub git_ref: &'a str,
    /// Empty where the ref is still to be resolved.
    pub commit: &'a str,
    pub reason: Reason,
    /// The deployment that it brings back.
    pub origin: Option<DeploymentId>,
    /// Whether nothing that an earlier one left is used.
    pub is_fresh: bool,
}

impl<'a> Order<'a> {
    /// A commit of a ref, whatever it needs.
    pub(crate) const fn of(git_ref: &'a str, commit: &'a str, reason: Reason) -> Self {
        Self { git_ref, commit, reason, origin: None, is_fresh: false }
    }

    /// What a deployment that is under way is to make live.
    pub(crate) fn anew(row: &'a DeploymentRow) -> Self {
        let reason = Reason::named(&row.reason).unwrap_or(Reason::Restart);
        let (origin, is_fresh) = (row.origin, row.is_fresh);
        Self { origin, is_fresh, ..Self::of(&row.git_ref, &row.commit, reason) }
    }

    /// What an earlier deployment made live.
    pub(crate) fn again(row: &'a DeploymentRow, reason: Reason) -> Self {
        Self { origin: Some(row.id), ..Self::of(&row.git_ref, &row.commit, reason) }
    }
}

/// [`create_as`] of a new id.
pub(crate) async fn create(
    tx: &mut Tx,
    app: &AppRow,
    order: Order<'_>,
    effects: &mut Effects,
) -> Result<DeploymentRow, StoreError> {
    create_as(DeploymentId::new(), tx, app, order, effects).await
}

/// Puts a deployment in the queue. Older ones of the app that are under way stop.
pub(crate) async fn create_as(
    id: DeploymentId,
    tx: &mut Tx,
    app: &AppRow,
    order: Order<'_>,
    effects: &mut Effects,
) -> Result<DeploymentRow, StoreError> {
    let Order { git_ref, commit, reason, origin, is_fresh } = order;
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
        origin,
        settings_hash: None,
        snapshot: None,
        is_fresh,
    };
    tx.deployment_insert(&row).await?;
    job::put_deployment(tx, Kind::Deploy, app.id, row.id, now).await?;
    effects.wake.push(Kind::Deploy);
    report::put(tx, app, &row, effects).await?;
    Ok(row)
}
