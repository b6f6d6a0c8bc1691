//! Following a log from one deployment to the next.
//!
//! When another deployment goes live, the former one's sandbox goes on for a while, for what is
//! under way there: its lines are shown until it is gone, among those of the new one. Of the new
//! one all are shown since its deployment was made, so none that a machine brings along which
//! begins as a copy. Nothing is woken for it: what sleeps ends it.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use pando_guest_protocol::log::{LogLines, LogQuery, Output, Whose};
use pando_node::guest::{GuestError, LogStream};
use pando_store::{AppRow, DeploymentRow, Presence, StoreError};
use pando_types::{AppId, OrgId, SandboxId};
use tokio::sync::watch;

use super::open::RunLog;
use super::processes;
use super::seams::Seams;
use super::secrets::{Secrets, SecretsError};
use crate::context::Context;
use crate::deployment::plan_of;

/// Hex digits of a commit that a line names it by.
const COMMIT_DIGITS: usize = 7;

/// A log that goes on.
pub(super) struct Follow {
    context: Arc<Context>,
    app: AppId,
    query: LogQuery,
    changed: watch::Receiver<u64>,
    secrets: Secrets,
    /// Where the app was live when it was last looked.
    sandbox: SandboxId,
    live: Option<Source>,
    /// The one before, until it is gone. Of one before that, what is still to come is lost.
    former: Option<Source>,
    /// What is to be said next about the log itself.
    remark: Option<LogLines>,
}

/// The lines of one sandbox.
struct Source {
    lines: LogStream,
    seams: Seams,
}

impl Source {
    fn new(lines: LogStream) -> Self {
        Self { lines, seams: Seams::default() }
    }
}

/// Which sandbox says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Live,
    Former,
}

/// What a look at the rows found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Nothing that is news.
    Same,
    /// Another deployment is live.
    Moved,
    /// The app is there no more, or nobody knows what to hide of it.
    Over,
}

impl Follow {
    pub(super) fn new(log: RunLog, lines: LogStream) -> Self {
        let RunLog { context, app, query, changed, sandbox, secrets, .. } = log;
        let live = Some(Source::new(lines));
        Self { context, app, query, changed, secrets, sandbox, live, former: None, remark: None }
    }

    pub(super) fn lines(self) -> LogStream {
        let lines = stream::unfold(Some(self), async |follow| {
            let mut follow = follow?;
            match follow.next().await {
                Ok(lines) => lines.map(|lines| (Ok(lines), Some(follow))),
                Err(error) => Some((Err(error), None)),
            }
        });
        lines.boxed()
    }

    async fn next(&mut self) -> Result<Option<LogLines>, GuestError> {
        loop {
            if let Some(remark) = self.remark.take() {
                return Ok(Some(remark));
            }
            let looked = tokio::select! {
                // What is to be hidden by now is known before a line is passed on.
                biased;
                () = self.context.shutdown.cancelled() => Looked::Over,
                changed = self.changed.changed() => match changed {
                    Ok(()) => self.look().await?,
                    Err(_) => Looked::Over,
                },
                (which, said) = said(&mut self.live, &mut self.former) => match (which, said) {
                    (which, Some(Ok(lines))) => return Ok(Some(self.clean(which, lines))),
                    (Which::Live, ended) => self.live_ended(ended.transpose().err()).await?,
                    // However it ended: another one is live.
                    (Which::Former, _) => {
                        self.former = None;
                        Looked::Same
                    }
                },
            };
            if looked == Looked::Over {
                return Ok(None);
            }
        }
    }

    /// The live sandbox says nothing any more: another one took its place, or its machine ended.
    async fn live_ended(&mut self, error: Option<GuestError>) -> Result<Looked, GuestError> {
        self.live = None;
        let looked = self.look().await?;
        if looked == Looked::Same {
            if let Some(error) = error {
                return Err(error);
            }
            let text = "its sandbox has ended; the log goes on when it is live again";
            self.remark = Some(self.remark(text));
        }
        Ok(looked)
    }

    /// Looks whether another deployment is live by now, and what is to be hidden.
    async fn look(&mut self) -> Result<Looked, GuestError> {
        let (app, deployment) = match self.rows().await {
            Ok(Some(rows)) => rows,
            Ok(None) => return Ok(Looked::Over),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, app = self.app.short(), "who follows its log sees it late");
                return Ok(Looked::Same);
            }
        };
        match self.secrets.look(&self.context.sealer, &app) {
            Ok(()) => {}
            Err(SecretsError::NoRoom(no_room)) => return Err(no_room.into()),
            Err(SecretsError::Seal(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, app = self.app.short(), "its log is followed no longer");
                return Ok(Looked::Over);
            }
        }
        let Some((sandbox, deployment)) = app.active_sandbox.zip(deployment) else {
            return Ok(Looked::Same);
        };
        if sandbox == self.sandbox {
            return Ok(Looked::Same);
        }
        self.sandbox = sandbox;
        self.former = self.live.take();
        let plan = plan_of(&deployment);
        let missing = match (&self.query.whose, plan) {
            (Whose::Process(name), Some(plan)) if !processes::has(&plan, name) => Some(name),
            _ => None,
        };
        let commit: String = deployment.commit.chars().take(COMMIT_DIGITS).collect();
        let mut text = format!("deployment {} is live now, commit {commit}", deployment.id.short());
        if let Some(name) = missing {
            text.push_str(&format!("; it has no process `{name}`"));
        } else {
            let query = LogQuery {
                tail: None,
                since_ms: u64::try_from(deployment.created.as_millis()).ok(),
                ..self.query.clone()
            };
            self.live = lines_of(&self.context, app.org, sandbox, query).await?;
        }
        self.remark = Some(self.remark(&text));
        Ok(Looked::Moved)
    }

    /// The app and what is live of it; none where it is being removed.
    async fn rows(&mut self) -> Result<Option<(AppRow, Option<DeploymentRow>)>, StoreError> {
        let app = self.context.store.app_get(self.app).await?;
        let Some(app) = app.filter(|app| app.presence == Presence::Kept) else { return Ok(None) };
        let deployment = match app.active_deployment {
            Some(id) if app.active_sandbox != Some(self.sandbox) => {
                self.context.store.deployment_get(id).await?
            }
            _ => None,
        };
        Ok(Some((app, deployment)))
    }

    fn clean(&mut self, which: Which, lines: LogLines) -> LogLines {
        let source = match which {
            Which::Live => &mut self.live,
            Which::Former => &mut self.former,
        };
        match source {
            Some(source) => source.seams.clean(&self.secrets.redactor, lines),
            None => lines,
        }
    }

    /// What is said about the log itself, as the agent would.
    fn remark(&self, text: &str) -> LogLines {
        LogLines {
            time_ms: u64::try_from(self.context.store.now().as_millis()).unwrap_or_default(),
            output: Output::Stderr,
            pid: 0,
            process: None,
            text: format!("[{text}]"),
        }
    }
}

/// The lines of what is live now; none where it has ended already, which the next look finds.
async fn lines_of(
    context: &Context,
    org: OrgId,
    sandbox: SandboxId,
    query: LogQuery,
) -> Result<Option<Source>, GuestError> {
    let lines = async { context.machines.look_on(org, sandbox).await?.logs(query).await };
    match lines.await {
        Ok(lines) => Ok(Some(Source::new(lines))),
        Err(GuestError::Gone) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What comes first of either.
async fn said(
    live: &mut Option<Source>,
    former: &mut Option<Source>,
) -> (Which, Option<Result<LogLines, GuestError>>) {
    tokio::select! {
        said = next_of(live) => (Which::Live, said),
        said = next_of(former) => (Which::Former, said),
    }
}

async fn next_of(source: &mut Option<Source>) -> Option<Result<LogLines, GuestError>> {
    match source {
        Some(source) => source.lines.next().await,
        None => std::future::pending().await,
    }
}
