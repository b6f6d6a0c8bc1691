//! A command that is run once, beside the processes of a live app and with all that they have.

use std::time::Duration;

use pando_guest_protocol::session::Exec;
use pando_store::{AppRow, CronRow};
use pando_types::{Code, PublicError, SandboxId};

use super::environment::Environment;
use super::place::Place;
use super::plan_of;
use super::redact::Redactor;
use crate::context::Context;
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
    told(context, app, What::Words(argv), timeout).await
}

/// A cron of the app; what it says is kept under its name, too.
pub(crate) async fn of_cron(
    context: &Context,
    app: &AppRow,
    cron: &CronRow,
) -> Result<Told, DeployError> {
    let mut told = told(context, app, What::Line(&cron.command), cron.timeout).await?;
    told.exec.log_name = Some(cron.name.clone());
    Ok(told)
}

/// What is to be run.
enum What<'a> {
    /// A program and its arguments.
    Words(Vec<String>),
    /// A line for the shell.
    Line(&'a str),
}

/// The environment is made anew, from what the user has set by now.
async fn told(
    context: &Context,
    app: &AppRow,
    what: What<'_>,
    timeout: Duration,
) -> Result<Told, DeployError> {
    let sandbox = sandbox(app)?;
    let deployment = match app.active_deployment {
        Some(id) => context.store.deployment_get(id).await?,
        None => None,
    };
    let gone = || PublicError::new(Code::Conflict, "its deployment is gone; deploy it again");
    let deployment = deployment.ok_or_else(gone)?;
    let older = || {
        let message = "it was deployed by an older server, which kept too little of how";
        PublicError::new(Code::Conflict, message).hint("deploy it again")
    };
    let plan = plan_of(&deployment).ok_or_else(older)?;
    let own = context.sealer.unseal_env(&app.id.to_string(), "env", &app.env_sealed)?;
    let redactor = Redactor::new(&own.secrets());
    let place = Place::of(app, &plan);
    let argv = match what {
        What::Words(words) => place.words(words),
        What::Line(line) => place.shell(line),
    };
    let env = Environment::of(context, app, &deployment, &plan, &own.values()).running();
    Ok(Told { sandbox, exec: place.exec(argv, env, timeout), redactor })
}
