//! The node's reports into rows. A report that is older than its row, or of a
//! former owner, changes nothing.

use std::time::Duration;

use pando_store::{Actual, Store};
use pando_types::NodeId;
use tokio::sync::{broadcast, mpsc};

use super::sandboxes::Ending;
use crate::sandbox::policy::State;
use crate::shared::Report;

/// How long until a report that the store did not take is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often it is tried: after that the next start settles the row.
const TRIES: usize = 20;

/// Starts the task that ends when the node has stopped and all reports are in.
pub(super) fn spawn(
    store: Store,
    node: NodeId,
    mut reports: mpsc::Receiver<Report>,
    endings: broadcast::Sender<Ending>,
) {
    tokio::spawn(async move {
        while let Some(report) = reports.recv().await {
            for _ in 0..TRIES {
                match apply(&store, node, &report).await {
                    Ok(()) => {
                        tell_ending(&store, &report, &endings).await;
                        break;
                    }
                    Err(error) => {
                        tracing::error!(
                            error = crate::chain(&error),
                            "a report is not in its row yet"
                        );
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        }
    });
}

async fn tell_ending(store: &Store, report: &Report, endings: &broadcast::Sender<Ending>) {
    if !matches!(report.state, State::Failed { .. } | State::Deleted) {
        return;
    }
    match store.sandbox_get(report.id).await {
        // Nobody may be listening.
        Ok(row) => {
            let app = row.and_then(|row| row.app);
            let _ = endings.send(Ending { sandbox: report.id, app });
        }
        Err(error) => {
            tracing::error!(error = crate::chain(&error), "an ending was told to nobody");
        }
    }
}

/// Writes one report into its row.
pub(super) async fn apply(
    store: &Store,
    node: NodeId,
    report: &Report,
) -> Result<(), pando_store::StoreError> {
    let (actual, reason) = match &report.state {
        State::Creating => return Ok(()),
        State::Running => (Actual::Running, None),
        State::Paused => (Actual::Paused, None),
        State::Failed { reason } => (Actual::Failed, Some(reason.as_str())),
        // The row is gone last, when nothing is left.
        State::Deleting => return Ok(()),
        State::Deleted => (Actual::Deleted, None),
    };
    let boot_ms = u64::try_from(report.boot.as_millis()).ok().filter(|boot| *boot > 0);
    store
        .sandbox_report(report.id, node, report.epoch, actual, report.generation, reason, boot_ms)
        .await
        .map(drop)
}
