//! Removing the sandboxes of a deployment that does not serve (any more).

use std::sync::Arc;
use std::time::Duration;

use pando_types::{AppId, DeploymentId};

use crate::context::Context;
use crate::error::DeployError;
use crate::job::Outcome;

/// How soon to look again at a deployment whose task has not stopped yet.
const STILL_RUNNING: Duration = Duration::from_millis(500);

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
    let serving = app_row.and_then(|app| app.active_sandbox);
    for (sandbox, made_for) in context.machines.list(app).await? {
        if made_for == Some(deployment) && serving != Some(sandbox) {
            context.machines.remove(row.org, sandbox).await?;
            tracing::info!(
                sandbox = sandbox.short(),
                deployment = deployment.short(),
                "sandbox removed"
            );
        }
    }
    Ok(Outcome::Done)
}
