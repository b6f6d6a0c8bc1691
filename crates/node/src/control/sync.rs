//! The node's reports into rows. A report that is older than its row, or of a
//! former owner, changes nothing.

use std::time::Duration;

use pando_store::{Actual, Store, StoreError};
use pando_types::NodeId;
use tokio::sync::{broadcast, mpsc};

use super::ending::Ending;
use super::journal::{Journal, Seen};
use crate::sandbox::policy::State;
use crate::shared::Report;

/// How long until a report that the store did not take is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often it is tried: after that the next start settles the row.
const TRIES: usize = 20;

/// Where reports go. Nothing of the node: its reports end when it does.
pub(super) struct Rows {
    pub store: Store,
    pub journal: Journal,
    pub node: NodeId,
    pub endings: broadcast::Sender<Ending>,
}

/// Starts the task that ends when the node has stopped and all reports are in.
pub(super) fn spawn(rows: Rows, mut reports: mpsc::Receiver<Report>) {
    tokio::spawn(async move {
        while let Some(report) = reports.recv().await {
            for _ in 0..TRIES {
                match apply(&rows.store, &rows.journal, rows.node, &report).await {
                    Ok(()) => {
                        tell_ending(&rows.store, &report, &rows.endings).await;
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
    journal: &Journal,
    node: NodeId,
    report: &Report,
) -> Result<(), StoreError> {
    let (actual, reason) = match &report.state {
        State::Creating => return Ok(()),
        State::Running => (Actual::Running, None),
        State::Paused => (Actual::Paused, None),
        State::Hibernated => (Actual::Hibernated, None),
        State::Failed { reason } => (Actual::Failed, Some(reason.clone())),
        // The row is gone last, when nothing is left.
        State::Deleting => return Ok(()),
        State::Deleted => (Actual::Deleted, None),
    };
    let Some(row) = store.sandbox_get(report.id).await? else { return Ok(()) };
    let is_owner = row.owner_node == node && row.epoch == report.epoch;
    // Most reports were written by whoever waited for them.
    if !is_owner || row.actual == Actual::Deleted || row.actual_gen >= report.generation {
        return Ok(());
    }
    let boot_ms = u64::try_from(report.boot.as_millis()).ok().filter(|boot| *boot > 0);
    let seen = Seen { actual, generation: report.generation, reason, boot_ms };
    journal.report(&row, seen).await.map(drop)
}
