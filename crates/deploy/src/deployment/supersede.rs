//! Ending deployments from outside: a newer one came, or the app leaves. The task
//! that works on one sees it at its next write, and is told at once.

use pando_store::{AppRow, DeploymentRow, StoreError, Swap, Tx};

use super::state::{self, Event};
use crate::context::Effects;
use crate::forge::report;
use crate::job::{self, Kind};

/// A newer deployment takes the place of all that are under way.
pub(crate) async fn all_open(
    tx: &mut Tx,
    app: &AppRow,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    for row in tx.deployment_list_open(app.id).await? {
        // Read in this transaction: nobody moved it since.
        let _ = end(tx, app, &row, Event::Superseded, None, effects).await?;
    }
    Ok(())
}

/// The app leaves, and all that are under way with it.
pub(crate) async fn cancel_open(
    tx: &mut Tx,
    app: &AppRow,
    why: &str,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    for row in tx.deployment_list_open(app.id).await? {
        let _ = end(tx, app, &row, Event::Cancelled, Some(why), effects).await?;
    }
    Ok(())
}

/// Ends a deployment, wants its sandboxes gone and its end told. [`Swap::Stale`]
/// when it has ended, or moved since `row` was read.
pub(crate) async fn end(
    tx: &mut Tx,
    app: &AppRow,
    row: &DeploymentRow,
    event: Event,
    error: Option<&str>,
    effects: &mut Effects,
) -> Result<Swap, StoreError> {
    let Some(mut ended) = state::advance(row, event, tx.now()) else {
        return Ok(Swap::Stale);
    };
    ended.error = error.map(str::to_owned);
    let swap = tx.deployment_swap(row, &ended).await?;
    if swap == Swap::Done {
        let now = tx.now();
        job::put_deployment(tx, Kind::Sweep, row.app, row.id, now).await?;
        effects.stop.push(row.id);
        effects.wake.push(Kind::Sweep);
        report::put(tx, app, &ended, effects).await?;
    }
    Ok(swap)
}
