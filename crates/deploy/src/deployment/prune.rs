//! What is kept of an app's deployments: the last ones that were live can be gone back to.

use std::collections::HashSet;
use std::sync::Arc;

use pando_node::DiskName;
use pando_store::{AppKind, AppRow, DeploymentRow};
use pando_types::AppId;

use crate::context::Context;
use crate::error::DeployError;
use crate::layer;

use super::ready;

/// Deployments that an app can be rolled back to at once, the one that is live among them.
const KEPT_OF_APP: usize = 4;
/// A preview follows its pull request: only what is live of it is kept.
const KEPT_OF_PREVIEW: usize = 1;
/// Layers that are kept of each, those that were used last.
const KEPT_LAYERS: usize = 2;
/// Rows that are looked through: older ones have nothing any more.
const LOOKED_THROUGH: u32 = 50;

/// Removes what is kept of deployments that are not gone back to.
pub(crate) async fn prune(context: &Arc<Context>, app: &AppRow) -> Result<(), DeployError> {
    let kept = match app.kind {
        AppKind::App => KEPT_OF_APP,
        AppKind::Preview(_) => KEPT_OF_PREVIEW,
    };
    let live = context.store.deployment_list_live(app.id, LOOKED_THROUGH).await?;
    let mut tx = context.store.begin().await?;
    let open = tx.deployment_list_open(app.id).await?;
    let active = tx.app_get(app.id).await?.and_then(|app| app.active_deployment);
    drop(tx);
    let active = live.iter().filter(|row| Some(row.id) == active);
    let stays: Vec<&DeploymentRow> = live.iter().take(kept).chain(active).chain(&open).collect();
    let mut disks: HashSet<DiskName> = HashSet::new();
    for row in &stays {
        let chain = ready::chain(context, row.id).await?;
        disks.extend(chain.iter().filter_map(|row| layer::built(app.id, row.id).ok()));
    }
    let [layers, builts] = layer::prefixes(app.id);
    let unused = context.machines.disks(builts).await?.into_iter();
    let unused = unused.filter(|name| !disks.contains(name));
    let old = context.machines.disks(layers).await?.into_iter().skip(KEPT_LAYERS);
    for name in unused.chain(old) {
        context.machines.forget_disk(&name).await?;
    }
    for row in context.store.deployment_list_kept(app.id).await? {
        if stays.iter().any(|stays| stays.id == row.id) {
            continue;
        }
        // One that was gone back to is another's, too.
        let is_others = stays.iter().any(|stays| stays.snapshot == row.snapshot);
        forget_ready(context, row, is_others).await?;
    }
    Ok(())
}

async fn forget_ready(
    context: &Context,
    row: DeploymentRow,
    is_others: bool,
) -> Result<(), DeployError> {
    if let Some(snapshot) = row.snapshot.filter(|_| !is_others) {
        context.machines.forget_ready(snapshot).await?;
    }
    let without = DeploymentRow { snapshot: None, ..row.clone() };
    // Stale: a task works on it, and the next time tells.
    let _ = context.store.deployment_swap(&row, &without).await?;
    Ok(())
}

/// Removes all that is kept of an app that leaves.
pub(crate) async fn forget_all(context: &Arc<Context>, app: AppId) -> Result<(), DeployError> {
    for prefix in layer::prefixes(app) {
        for name in context.machines.disks(prefix).await? {
            context.machines.forget_disk(&name).await?;
        }
    }
    for row in context.store.deployment_list_kept(app).await? {
        forget_ready(context, row, false).await?;
    }
    Ok(())
}
