//! Where an app is live, and whose lines may be asked for there.

use std::sync::Arc;

use pando_guest_protocol::log::{LogQuery, Whose};
use pando_node::held::Account;
use pando_types::{AppId, OrgId, SandboxId};
use tokio::sync::watch;

use super::processes;
use super::secrets::Secrets;
use crate::app::find;
use crate::context::Context;
use crate::deployment::{once, plan_of};
use crate::error::DeployError;
use crate::machine::Machine;

/// The log of a live app, found and not read yet. What it holds of the app's secrets goes with
/// it, or with its lines.
pub struct RunLog {
    pub(super) context: Arc<Context>,
    pub(super) app: AppId,
    pub(super) query: LogQuery,
    /// Subscribed to before the rows were read.
    pub(super) changed: watch::Receiver<u64>,
    pub(super) sandbox: SandboxId,
    pub(super) secrets: Secrets,
    pub(super) machine: Box<dyn Machine>,
}

/// Finds the log, and holds for `account` what it takes; an app that sleeps is woken, unless
/// the refusal is known without.
pub(crate) async fn open(
    context: &Arc<Context>,
    org: OrgId,
    app: AppId,
    query: LogQuery,
    account: &Account,
) -> Result<RunLog, DeployError> {
    let changed = context.changed();
    let app = find::one(context, org, app).await?;
    let sandbox = once::sandbox(&app)?;
    if let Whose::Process(name) = &query.whose {
        let deployment = match app.active_deployment {
            Some(id) => context.store.deployment_get(id).await?,
            None => None,
        };
        // Of what an older server deployed, only its sandbox knows.
        if let Some(plan) = deployment.as_ref().and_then(plan_of)
            && !processes::has(&plan, name)
        {
            return Err(processes::missing(&plan, name).into());
        }
    }
    let secrets = Secrets::open(&context.sealer, &app, account)?;
    let machine = context.machines.open(org, sandbox).await?;
    let (context, app) = (Arc::clone(context), app.id);
    Ok(RunLog { context, app, query, changed, sandbox, secrets, machine })
}
