//! A command that is run once, beside the processes of a live app and with all that they have.

use std::time::Duration;

use pando_guest_protocol::session::Exec;
use pando_store::{AppRow, CronRow};
use pando_types::{Code, PublicError, SandboxId};

use super::environment::{Environment, script};
use super::redact::Redactor;
use super::run::in_sandbox;
use crate::context::Context;
use crate::detect::Plan;
use crate::error::DeployError;

/// Where an app is live.
pub(crate) fn sandbox(app: &AppRow) -> Result<SandboxId, DeployError> {
    let error = || {
        let message = format!("{} has no live deployment", app.name);
        PublicError::new(Code::Conflict, message)
            .hint("its newest deployment says why: `pando app logs NAME --build`")
    };
    Ok(app.active_sandbox.ok_or_else(error)?)
}

/// What a sandbox is told, and which.
pub(crate) struct Told {
    pub sandbox: SandboxId,
    pub exec: Exec,
    /// What of the command's output nobody may read.
    pub redactor: Redactor,
}

/// A command of these words.
pub(crate) async fn command(
    context: &Context,
    app: &AppRow,
    argv: Vec<String>,
    timeout: Duration,
) -> Result<Told, DeployError> {
    // Its words are the shell's arguments, so that none of them is read twice.
    let mut told = shell(context, app, "exec \"$@\"", timeout).await?;
    told.exec.argv.push("sh".to_owned());
    told.exec.argv.extend(argv);
    Ok(told)
}

/// A cron of the app; what it says is kept under its name, too.
pub(crate) async fn of_cron(
    context: &Context,
    app: &AppRow,
    cron: &CronRow,
) -> Result<Told, DeployError> {
    let mut told = shell(context, app, &cron.command, cron.timeout).await?;
    told.exec.log_name = Some(cron.name.clone());
    Ok(told)
}

/// A line for the shell. The environment is made anew, from what the user has set by now.
async fn shell(
    context: &Context,
    app: &AppRow,
    line: &str,
    timeout: Duration,
) -> Result<Told, DeployError> {
    let sandbox = sandbox(app)?;
    let deployment = match app.active_deployment {
        Some(id) => context.store.deployment_get(id).await?,
        None => None,
    };
    let gone = || PublicError::new(Code::Conflict, "its deployment is gone; deploy it again");
    let deployment = deployment.ok_or_else(gone)?;
    let plan = deployment.plan.as_deref().and_then(|plan| serde_json::from_str::<Plan>(plan).ok());
    let older = || {
        let message = "it was deployed by an older server, which kept too little of how";
        PublicError::new(Code::Conflict, message).hint("deploy it again")
    };
    let plan = plan.ok_or_else(older)?;
    let own = context.sealer.unseal_env(&app.id.to_string(), "env", &app.env_sealed)?;
    let redactor = Redactor::new(&own.secrets());
    let folder = in_sandbox(&app.root_directory);
    let exec = Exec {
        argv: ["/bin/sh", "-c", &script(&plan, &folder, line)].map(str::to_owned).to_vec(),
        cwd: Some(folder),
        env: Environment::of(context, app, &deployment, &plan, &own.values()).running(),
        user: None,
        timeout_ms: Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1)),
        detached_log: None,
        log_name: None,
        root: None,
    };
    Ok(Told { sandbox, exec, redactor })
}
