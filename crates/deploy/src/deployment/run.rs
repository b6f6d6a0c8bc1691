//! The one task that acts for a deployment, from the queue to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pando_node::fault::{self, Fault};
use pando_store::{AppKind, AppRow, DeploymentRow, Presence, Swap};
use pando_types::app::DeploymentStatus;
use pando_types::{AppId, DeploymentId, PublicError, SandboxId};
use tokio::task::JoinHandle;

use super::check::Settle;
use super::command::Step;
use super::log::Log;
use super::redact::Redactor;
use super::state::{self, Event, MAX_ATTEMPTS};
use super::supersede;
use crate::context::{Context, Effects};
use crate::detect::{Pages, Plan, Serve};
use crate::error::DeployError;
use crate::git::Mirror;
use crate::job::{self, Kind, Outcome};
use crate::machine::{AppTemplate, Machine, exec};

/// A deployment under way.
pub(super) struct Run {
    pub context: Arc<Context>,
    pub app: AppRow,
    pub row: DeploymentRow,
    pub log: Log,
    pub env: BTreeMap<String, String>,
    pub redactor: Redactor,
    /// Tells one environment from another, and nothing of what is in it.
    pub env_fingerprint: String,
    pub template: AppTemplate,
    /// Where the app listens, as far as that is known.
    pub port: u16,
    /// The sandbox in the making: it is waited for even when the deployment stops,
    /// because only what is made whole can be removed.
    pub creating: Option<JoinHandle<Result<Option<SandboxId>, PublicError>>>,
}

/// Why a deployment does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// It cannot: the text is for its owner.
    Failed(String),
    /// Somebody ended it.
    Ended,
    /// The server's own trouble: it is begun again later.
    Broken(DeployError),
}

impl<E: Into<DeployError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

/// Works on a deployment until it ends, or the server stops.
pub(crate) async fn run(
    context: &Arc<Context>,
    app: AppId,
    id: DeploymentId,
) -> Result<Outcome, DeployError> {
    let entered = context.running.enter(app, id, &context.shutdown);
    let Some((app, row)) = begin(context, id).await? else {
        return Ok(Outcome::Done);
    };
    // What an attempt before this one left.
    for (sandbox, made_for) in context.machines.list(app.id).await? {
        if made_for == Some(id) {
            context.machines.remove(row.org, sandbox).await?;
        }
    }
    let env = context.sealer.unseal_env(&app.id.to_string(), "env", &app.env_sealed)?;
    let (log, writer) = context.logs.write(id).await?;
    let (redactor, env) = (Redactor::new(&env.secrets()), env.values());
    let template = template(context, &app).await?;
    // Of texts alone: it cannot fail.
    let env_text = serde_json::to_vec(&env).unwrap_or_default();
    let mut run = Run {
        context: Arc::clone(context),
        env_fingerprint: context.sealer.fingerprint(&env_text),
        port: app.port,
        template,
        app,
        row,
        log,
        env,
        redactor,
        creating: None,
    };
    let halted = tokio::select! {
        biased;
        () = entered.stop.cancelled() => Err(Halt::Ended),
        done = run.steps() => done,
    };
    run.take_leave(&halted).await;
    // Every line is written before the end is told to anyone.
    let Run { app, row, log, redactor, creating, .. } = run;
    drop(log);
    writer.close().await;
    let outcome = match halted {
        Err(Halt::Failed(why)) => {
            let why = redactor.clean(&why);
            let mut tx = context.store.begin().await?;
            let mut effects = Effects::default();
            let failed = Event::Failed;
            let _ = supersede::end(&mut tx, &app, &row, failed, Some(&why), &mut effects).await?;
            context.commit(tx, effects).await?;
            Outcome::Done
        }
        Err(Halt::Broken(error)) => return Err(error),
        Err(Halt::Ended) if context.shutdown.is_cancelled() => Outcome::Again(Duration::ZERO),
        Ok(()) | Err(Halt::Ended) => Outcome::Done,
    };
    if let Some(creating) = creating {
        let _ = creating.await;
        drop(entered);
        // Again, for the sandbox that was in the making when it ended.
        let mut tx = context.store.begin().await?;
        let now = tx.now();
        job::put_deployment(&mut tx, Kind::Sweep, row.app, row.id, now).await?;
        context.commit(tx, Effects { wake: vec![Kind::Sweep], ..Effects::default() }).await?;
    }
    Ok(outcome)
}

/// What an app's machines are restored from. Of one that is gone no machine can be made, and
/// that says so then.
async fn template(context: &Context, app: &AppRow) -> Result<AppTemplate, PublicError> {
    let all = context.machines.templates(app.org).await?;
    let found = all.into_iter().find(|template| template.name == app.template);
    Ok(found.unwrap_or_else(|| AppTemplate {
        name: app.template.clone(),
        version: String::new(),
        size: None,
    }))
}

/// The rows to work on; none where there is nothing to do.
async fn begin(
    context: &Arc<Context>,
    id: DeploymentId,
) -> Result<Option<(AppRow, DeploymentRow)>, DeployError> {
    let mut tx = context.store.begin().await?;
    let Some(row) = tx.deployment_get(id).await? else {
        return Ok(None);
    };
    let Some(app) = tx.app_get(row.app).await? else {
        return Ok(None);
    };
    if row.status.is_end() {
        return Ok(None);
    }
    let now = tx.now();
    let Some(again) = state::advance(&row, Event::Interrupted, now) else {
        return Ok(Some((app, row)));
    };
    if again.attempt > MAX_ATTEMPTS {
        let why = format!(
            "it was begun {MAX_ATTEMPTS} times, and the server stopped or failed each time"
        );
        let mut effects = Effects::default();
        let _ =
            supersede::end(&mut tx, &app, &row, Event::Failed, Some(&why), &mut effects).await?;
        context.commit(tx, effects).await?;
        return Ok(None);
    }
    let swap = tx.deployment_swap(&row, &again).await?;
    tx.commit().await?;
    Ok((swap == Swap::Done).then_some((app, again)))
}

impl Run {
    async fn steps(&mut self) -> Result<(), Halt> {
        if self.app.presence != Presence::Kept {
            return Err(Halt::Ended);
        }
        self.greet().await;
        let is_back = match self.row.origin {
            Some(origin) => self.bring_back(origin).await?,
            None => false,
        };
        if !is_back {
            self.of_the_commit().await?;
        }
        self.flip().await
    }

    /// The commit, until it is ready.
    async fn of_the_commit(&mut self) -> Result<(), Halt> {
        self.step_done().await?;
        let mirror = self.fetch().await?;
        if self.begin_with_the_same().await? {
            return Ok(());
        }
        self.step_done().await?;
        let mut plan = self.detect(&mirror).await?;
        self.step_done().await?;
        let mut machine = match plan.is_image() {
            true => self.image(mirror, &mut plan).await?,
            false => self.install_and_build(mirror, &mut plan).await?,
        };
        self.keep_plan(&plan).await?;
        self.step_done().await?;
        machine = self.run_machine(machine, &plan).await?;
        self.command(&*machine, Step::Release, &plan).await?;
        self.step_done().await?;
        self.start(&*machine, &plan, &plan.serve).await?;
        self.step_done().await?;
        self.check(&*machine, &plan, Settle::Watch).await?;
        self.keep_ready().await
    }

    /// The machine in which it was installed and built.
    async fn install_and_build(
        &mut self,
        mirror: Mirror,
        plan: &mut Plan,
    ) -> Result<Box<dyn Machine>, Halt> {
        let machine = self.install(&mirror, plan).await?;
        drop(mirror);
        self.step_done().await?;
        self.command(&*machine, Step::Build, plan).await?;
        plan.serve = self.find_built(&*machine, plan).await?;
        Ok(machine)
    }

    /// Writes down what was resolved.
    pub(super) async fn keep_plan(&mut self, plan: &Plan) -> Result<(), Halt> {
        let mut next = self.row.clone();
        next.plan = serde_json::to_string(plan).ok();
        self.save(next).await
    }

    /// Enters the next state.
    pub(super) async fn step_done(&mut self) -> Result<(), Halt> {
        let now = self.context.store.now();
        let next = state::advance(&self.row, Event::StepDone, now).ok_or(Halt::Ended)?;
        self.save(next).await?;
        if let Some(here) = entered(self.row.status) {
            fault::point(here);
        }
        Ok(())
    }

    /// Keeps the row, unless somebody ended the deployment.
    pub(super) async fn save(&mut self, next: DeploymentRow) -> Result<(), Halt> {
        if self.context.store.deployment_swap(&self.row, &next).await? != Swap::Done {
            return Err(Halt::Ended);
        }
        self.row = next;
        self.context.logs.poke();
        Ok(())
    }

    pub(super) async fn say(&self, text: impl AsRef<str>) {
        self.log.line(self.row.status, self.redactor.clean(text.as_ref())).await;
    }

    async fn greet(&self) {
        let what = match &self.app.kind {
            AppKind::App => format!("app {}", self.app.name),
            AppKind::Preview(preview) => {
                format!("preview of {}#{}", preview.repo_full_name, preview.pr_number)
            }
        };
        let why = match self.row.reason.as_str() {
            "pull_request" => "its pull request changed",
            "push" => "its branch was pushed to",
            "create" => "it was created",
            "revival" => "its machine died",
            "rollback" => "somebody wants an earlier deployment back",
            "restart" => "somebody wants it started anew",
            _ => "somebody asked for it",
        };
        self.say(format!("Deploying {what}, because {why}.")).await;
        if self.row.attempt > 1 {
            self.say(format!(
                "Attempt {}: the server stopped or had trouble during the last one.",
                self.row.attempt
            ))
            .await;
        }
    }

    /// The folder of the app in the sandbox.
    pub(super) fn folder(&self) -> String {
        in_sandbox(&self.app.root_directory)
    }

    /// Which folder the build left its page in.
    async fn find_built(&self, machine: &dyn Machine, plan: &Plan) -> Result<Serve, Halt> {
        let Serve::BuiltFolder(built) = &plan.serve else { return Ok(plan.serve.clone()) };
        for folder in &built.folders {
            let page = format!("{}/{folder}/index.html", self.folder());
            let asked = crate::machine::ask(machine, exec(&["test", "-f", &page]), 0).await;
            if asked.is_ok_and(|(code, _)| code == 0) {
                self.say(format!("Serves {folder}/, because the build left index.html there."))
                    .await;
                let (folder, single_page) = (folder.clone(), built.single_page);
                return Ok(Serve::Folder(Pages { folder, single_page }));
            }
        }
        let folders = built.folders.join(", ");
        Err(Halt::Failed(format!(
            "the build left no index.html in {folders}, and nothing else serves; set start_command"
        )))
    }

    /// The last line of the log.
    async fn take_leave(&self, halted: &Result<(), Halt>) {
        match halted {
            Ok(()) => {}
            Err(Halt::Failed(why)) => self.say(format!("Failed: {why}.")).await,
            Err(Halt::Ended) if self.context.shutdown.is_cancelled() => {
                self.say("Stopped: the server stops. It is begun anew when the server is back.")
                    .await;
            }
            Err(Halt::Ended) => {
                self.say("Stopped: a newer deployment took its place, or its app is removed.")
                    .await;
            }
            Err(Halt::Broken(_)) => {
                self.say("Stopped: the server has trouble. It is begun anew in a moment.").await;
            }
        }
    }
}

/// Where a test may end the server.
fn entered(status: DeploymentStatus) -> Option<Fault> {
    Some(match status {
        DeploymentStatus::Fetching => Fault::DeployFetching,
        DeploymentStatus::Detecting => Fault::DeployDetecting,
        DeploymentStatus::Installing => Fault::DeployInstalling,
        DeploymentStatus::Building => Fault::DeployBuilding,
        DeploymentStatus::Releasing => Fault::DeployReleasing,
        DeploymentStatus::Starting => Fault::DeployStarting,
        DeploymentStatus::Checking => Fault::DeployChecking,
        _ => return None,
    })
}

/// A folder of the repository, in the sandbox.
pub(super) fn in_sandbox(folder: &str) -> String {
    match folder {
        "" => "/app".to_owned(),
        folder => format!("/app/{folder}"),
    }
}
