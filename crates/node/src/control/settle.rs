//! The differences between rows and node that a crash left, ended at a start.

use pando_store::{Actual, Desired, SnapshotState};
use pando_types::PublicError;

use super::sandboxes::{Sandboxes, failed};

impl Sandboxes {
    /// Ends every difference between rows and node, at a start.
    pub(super) async fn settle(&self) -> Result<(), PublicError> {
        let rows =
            self.store.sandbox_list_owned(self.node_id).await.map_err(|error| failed(&error))?;
        for row in rows {
            let on_node = self.node.observe(row.id).is_some();
            // Unacknowledged, wanted gone, or lost with the node's memory of it.
            let unwanted = row.desired == Desired::Deleted || row.actual == Actual::Creating;
            if on_node && unwanted {
                self.node
                    .delete(row.id, row.epoch)
                    .await
                    .map_err(|error| PublicError::from(&error))?;
            }
            if unwanted || !on_node {
                tracing::info!(sandbox = row.id.short(), "its row is a tombstone now");
                let reason = (row.actual == Actual::Creating)
                    .then(|| "the server stopped before it was made".to_owned());
                self.bury(&row, reason).await?;
            }
        }
        Ok(())
    }

    /// Removes the sandboxes that no row tells of: what an earlier server built templates in.
    pub(super) async fn settle_rowless(&self) -> Result<(), PublicError> {
        for (id, epoch) in self.node.here() {
            let row = self.store.sandbox_get(id).await.map_err(|error| failed(&error))?;
            if row.is_none() {
                tracing::info!(sandbox = id.short(), "no row tells of it, so it goes");
                let deleted = self.node.delete(id, epoch).await;
                deleted.map_err(|error| PublicError::from(&error))?;
            }
        }
        Ok(())
    }

    /// The same for snapshots: one that was not taken whole, or not removed whole, goes.
    pub(super) async fn settle_snapshots(&self) -> Result<(), PublicError> {
        let rows =
            self.store.snapshot_list_owned(self.node_id).await.map_err(|error| failed(&error))?;
        let on_node = self.node.snapshots().await.map_err(|error| PublicError::from(&error))?;
        let templates = self.store.template_list_owned(self.node_id).await;
        let templates = templates.map_err(|error| failed(&error))?;
        let of_deployments = self.store.deployment_snapshots().await;
        let of_deployments = of_deployments.map_err(|error| failed(&error))?;
        for found in &on_node {
            let of_template = templates.iter().any(|template| template.snapshot == found.id);
            if !of_template
                && !of_deployments.contains(&found.id)
                && !rows.iter().any(|row| row.id == found.id)
            {
                let deleted = self.node.snapshot_delete(found.id).await;
                deleted.map_err(|error| PublicError::from(&error))?;
            }
        }
        for row in rows {
            let whole = on_node.iter().any(|found| found.id == row.id);
            if row.state != SnapshotState::Ready || !whole {
                tracing::info!(snapshot = row.id.short(), "it is not whole, so it goes");
                self.end_snapshot(&row).await?;
            }
        }
        Ok(())
    }
}
