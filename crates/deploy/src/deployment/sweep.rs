//! Removing the sandboxes of a deployment that does not serve (any more), and what is kept of
//! its app and not gone back to.

use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::supervise::DEFAULT_GRACE_MS;
use pando_types::{AppId, DeploymentId, OrgId, SandboxId};
use tokio::time::timeout;

use super::prune;
use crate::context::Context;
use crate::error::DeployError;
use crate::job::Outcome;

/// How soon to look again at a deployment whose task has not stopped yet.
const STILL_RUNNING: Duration = Duration::from_millis(500);
/// How soon to look again at a former sandbox that is in use.
const IN_USE: Duration = Duration::from_secs(1);
/// How long requests have to end there after the flip, and sockets.
const VISITORS_LIMIT: Duration = Duration::from_secs(60);
/// How long commands have, a cron among them.
const COMMANDS_LIMIT: Duration = Duration::from_secs(3600);
/// How long its processes are waited for: what each is given, and a little for the rest.
const STOP_LIMIT: Duration = Duration::from_millis(DEFAULT_GRACE_MS + 5_000);

pub(crate) async fn run(
    context: &Arc<Context>,
    app: AppId,
    deployment: DeploymentId,
) -> Result<Outcome, DeployError> {
    // A sandbox may be in the making there, and is only removed whole.
    if context.running.contains(deployment) {
        return Ok(Outcome::Again(STILL_RUNNING));
    }
    let row = context.store.deployment_get(deployment).await?;
    let Some(row) = row.filter(|row| row.status.is_end()) else {
        return Ok(Outcome::Done);
    };
    let app_row = context.store.app_get(app).await?;
    let serving = app_row.as_ref().and_then(|app| app.active_sandbox);
    let flipped = match app_row.as_ref().and_then(|app| app.active_deployment) {
        Some(active) => context.store.deployment_get(active).await?.and_then(|row| row.finished),
        None => None,
    };
    let now = context.store.now();
    let lasts = |limit| flipped.is_some_and(|flipped| now.since(flipped) < limit);
    let mut is_in_use = false;
    for (sandbox, made_for) in context.machines.list(app).await? {
        if made_for == Some(deployment) && serving != Some(sandbox) {
            if lasts(VISITORS_LIMIT) && context.machines.is_visited(sandbox) {
                is_in_use = true;
                continue;
            }
            stop(context, row.org, sandbox).await;
            if lasts(COMMANDS_LIMIT) && context.machines.is_used(sandbox) {
                is_in_use = true;
                continue;
            }
            context.machines.remove(row.org, sandbox).await?;
            tracing::info!(
                sandbox = sandbox.short(),
                deployment = deployment.short(),
                "sandbox removed"
            );
        }
    }
    if let Some(app) = app_row {
        prune::prune(context, &app).await?;
    }
    Ok(if is_in_use { Outcome::Again(IN_USE) } else { Outcome::Done })
}

/// Lets processes end in order, a job that a worker is at among them. A machine that does
/// not take part goes all the same.
async fn stop(context: &Context, org: OrgId, sandbox: SandboxId) {
    match timeout(STOP_LIMIT, context.machines.stop(org, sandbox)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(sandbox = sandbox.short(), %error, "its processes did not end in order");
        }
        Err(_) => tracing::debug!(sandbox = sandbox.short(), "its processes did not end in time"),
    }
}
