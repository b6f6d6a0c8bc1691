//! A live app whose machine died comes back by itself: its commit is deployed again.

use std::sync::Arc;
use std::time::Duration;

use pando_node::control::Ending;
use pando_store::{DeploymentRow, Presence};
use pando_types::{AppId, SandboxId, Timestamp};
use tokio::sync::broadcast;

use super::create::{self, Order};
use super::reason::Reason;
use crate::context::{Context, Effects};
use crate::error::DeployError;
use crate::job::{self, Kind, Outcome};

/// How often an app is brought back within [`WINDOW`]: one that takes its machine
/// down with it each time must not do so for ever.
const MAX_REVIVALS: u32 = 3;
const WINDOW: Duration = Duration::from_secs(30 * 60);

/// Hosts that one page reads.
const PAGE_ROUTES: u32 = 500;

/// Looks at every live app once, then at each whose machine ends, until the server stops.
pub(crate) async fn watch(context: Arc<Context>, mut endings: broadcast::Receiver<Ending>) {
    let mut looked = look_at_all(&context).await;
    loop {
        if let Err(error) = looked {
            tracing::error!(error = &error as &dyn std::error::Error, "an app may stay down");
        }
        let ending = tokio::select! {
            ending = endings.recv() => ending,
            () = context.shutdown.cancelled() => return,
        };
        looked = match ending {
            Ok(Ending { app: Some(app), sandbox }) => look_at(&context, app, sandbox).await,
            Ok(Ending { app: None, .. }) => Ok(()),
            // Some were missed: any may be down.
            Err(broadcast::error::RecvError::Lagged(_)) => look_at_all(&context).await,
            Err(broadcast::error::RecvError::Closed) => return,
        };
    }
}

async fn look_at_all(context: &Arc<Context>) -> Result<(), DeployError> {
    let mut after: Option<String> = None;
    loop {
        let page = context.store.route_list(after.as_deref(), PAGE_ROUTES).await?;
        for route in &page {
            let sandbox = route.target.as_ref().and_then(|target| target.sandbox);
            if let Some(sandbox) = sandbox
                && !context.machines.is_well(sandbox).await?
            {
                look_at(context, route.app, sandbox).await?;
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE_ROUTES as usize => after = Some(last.label.clone()),
            _ => return Ok(()),
        }
    }
}

/// Wants the app back if that machine served it.
async fn look_at(context: &Arc<Context>, app: AppId, ended: SandboxId) -> Result<(), DeployError> {
    let mut tx = context.store.begin().await?;
    let serves = tx.app_get(app).await?.is_some_and(|app| app.active_sandbox == Some(ended));
    if serves {
        job::put_app(&mut tx, Kind::Revive, app).await?;
        let effects = Effects { wake: vec![Kind::Revive], ..Effects::default() };
        context.commit(tx, effects).await?;
    }
    Ok(())
}

pub(crate) async fn run(context: &Arc<Context>, app: AppId) -> Result<Outcome, DeployError> {
    let Some(app) = context.store.app_get(app).await? else { return Ok(Outcome::Done) };
    let (Some(live), Some(sandbox)) = (app.active_deployment, app.active_sandbox) else {
        return Ok(Outcome::Done);
    };
    if context.machines.is_well(sandbox).await? {
        return Ok(Outcome::Done);
    }
    let latest = context.store.deployment_list(app.id, None, MAX_REVIVALS).await?;
    if is_hopeless(&latest, context.store.now()) {
        tracing::warn!(app = app.id.short(), "its machine keeps dying: it stays down");
        return Ok(Outcome::Done);
    }
    let mut tx = context.store.begin().await?;
    // Again, now that nobody else writes.
    let Some(app) = tx.app_get(app.id).await? else { return Ok(Outcome::Done) };
    let moved = app.presence != Presence::Kept || app.active_sandbox != Some(sandbox);
    // One that is on its way takes the dead one's place.
    if moved || !tx.deployment_list_open(app.id).await?.is_empty() {
        return Ok(Outcome::Done);
    }
    let Some(live) = tx.deployment_get(live).await? else { return Ok(Outcome::Done) };
    let mut effects = Effects::default();
    // A machine that dies of how it was kept must not be made of that again.
    let was_brought_back = latest.first().is_some_and(|row| row.reason == Reason::Revival.as_str());
    let mut order = Order::again(&live, Reason::Revival);
    order.origin = order.origin.filter(|_| !was_brought_back);
    let row = create::create(&mut tx, &app, order, &mut effects).await?;
    context.commit(tx, effects).await?;
    tracing::info!(
        app = app.id.short(),
        deployment = row.id.short(),
        "its machine died: its commit is deployed again"
    );
    Ok(Outcome::Done)
}

/// Whether the latest deployments, newest first, were all made to bring it back, lately.
fn is_hopeless(latest: &[DeploymentRow], now: Timestamp) -> bool {
    let revivals = latest
        .iter()
        .filter(|row| row.reason == Reason::Revival.as_str() && now.since(row.created) < WINDOW);
    revivals.count() == MAX_REVIVALS as usize
}
