//! The face of deployments: what the API asks, each in one call.

mod crons;
mod deliveries;
mod domains;
mod env;
mod repos;

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use pando_guest_protocol::session::Exec;
use pando_node::Routes;
use pando_node::garbage::Cache;
use pando_node::held::{Account, Held};
use pando_store::{AppKind, AppRow, DeploymentRow, Listed, Presence, Sealer, Store, Tx};
use pando_types::app::{
    App, CreateApp, CreateDeployment, Delivery, DeployKey, Deployment, Rollback, UpdateApp,
};
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::{AppId, Code, DeploymentId, OrgId, PublicError, SandboxId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::{Context, Effects, Running};
use crate::deployment::create::{self, Order};
use crate::deployment::log::{self, LogBook, LogLine};
use crate::deployment::reason::Reason;
use crate::deployment::{beginning, once, revive, view};
use crate::dns::Dns;
use crate::error::DeployError;
use crate::git::{Mirrors, is_branch, is_commit};
use crate::job::Wakes;
use crate::machine::Machines;
use crate::secret::Secret;
use crate::webhook::receive::{self, WebhookRequest};
use crate::{DeployConfig, app, cron, worker};

/// Deployments that were live and can be named to go back to.
const MAX_GONE_BACK: u32 = 100;
/// Routes that one page reads at the start.
const PAGE_ROUTES: u32 = 500;

/// Apps, deployments and previews. Clones share them.
#[derive(Clone)]
pub struct Deploy {
    context: Arc<Context>,
    tasks: TaskTracker,
    secret: Option<Secret>,
}

impl Deploy {
    /// Loads the routes, takes up what an earlier start left, and works until
    /// `shutdown` is cancelled.
    ///
    /// # Errors
    /// When the folder of mirrors or the rows cannot be used.
    pub async fn start(
        config: DeployConfig,
        store: Store,
        sealer: Sealer,
        machines: Arc<dyn Machines>,
        routes: Routes,
        shutdown: CancellationToken,
    ) -> Result<Self, DeployError> {
        let path = config.data.join("mirrors");
        let keeps = Arc::new(store.clone());
        let mirrors = Mirrors::open(path.clone(), config.allowed_git_hosts, keeps)
            .map_err(|source| DeployError::Folder { path, source })?;
        let context = Arc::new(Context {
            logs: LogBook::new(store.clone()),
            store,
            sealer,
            machines,
            mirrors: Arc::new(mirrors),
            routes,
            urls: config.urls,
            forge: config.forge,
            dns: Dns::new(config.dns),
            wakes: Wakes::new(),
            cron_changed: Notify::new(),
            running: Running::default(),
            boot: config.boot,
            health_grace: config.health_grace,
            drain: config.drain,
            shutdown,
        });
        // Before the rows are read: what ends meanwhile is heard.
        let endings = context.machines.endings();
        load_routes(&context).await?;
        let freed = context.store.job_release_of_other_boots(config.boot).await?;
        if freed > 0 {
            tracing::info!(jobs = freed, "taking up what an earlier start left");
        }
        cron::keeper::end_of_others(&context).await?;
        let tasks = TaskTracker::new();
        worker::start(&context, &tasks, config.workers.max(1));
        tasks.spawn(revive::watch(Arc::clone(&context), endings));
        tasks.spawn(cron::keeper::keep(Arc::clone(&context)));
        tasks.close();
        Ok(Self { context, tasks, secret: config.webhook_secret })
    }

    /// Returns when every worker has ended, after the shutdown was cancelled.
    pub async fn join(self) {
        self.tasks.wait().await;
    }

    /// The mirrors of repositories, each of which the next deployment makes anew.
    #[must_use]
    pub fn mirrors(&self) -> Arc<dyn Cache> {
        Arc::clone(&self.context.mirrors) as Arc<dyn Cache>
    }

    /// Makes an app of this new id, and deploys the head of its branch.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] by field; [`Code::Conflict`] for a name that is taken.
    pub async fn app_create(
        &self,
        id: AppId,
        org: OrgId,
        request: CreateApp,
    ) -> Result<App, PublicError> {
        let row = app::create::create(&self.context, id, org, request).await?;
        Ok(self.view(&row))
    }

    /// What became of an app's creation whose end nobody heard: the app, also when
    /// it was removed since. `None` when it was never made.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn app_made(&self, org: OrgId, id: AppId) -> Result<Option<App>, PublicError> {
        let row = self.context.store.app_get(id).await.map_err(DeployError::from)?;
        Ok(row.filter(|row| row.org == org).map(|row| self.view(&row)))
    }

    /// One app or preview.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn app_get(&self, org: OrgId, id: AppId) -> Result<App, PublicError> {
        Ok(self.view(&app::find::one(&self.context, org, id).await?))
    }

    /// An org's apps, its previews among them, or its previews alone; oldest first.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn app_list(
        &self,
        org: OrgId,
        which: Listed,
        page: PageRequest<AppId>,
    ) -> Result<List<App>, PublicError> {
        let rows = self.context.store.app_list(org, which, page.after, page.rows()).await;
        let rows = rows.map_err(DeployError::from)?;
        let place = |row: &AppRow| Cursor { created: row.created, id: row.id };
        Ok(List::of(rows, &page, place, |row| self.view(row)))
    }

    /// Changes what is asked of an app and its previews, from the next deployment on.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidRequest`] by field; [`Code::Conflict`] for a preview,
    /// and for an app that is being removed.
    pub async fn app_update(
        &self,
        org: OrgId,
        id: AppId,
        change: UpdateApp,
    ) -> Result<App, PublicError> {
        Ok(self.view(&app::update::update(&self.context, org, id, change).await?))
    }

    /// The public half of the key with which an app's repository is read over ssh.
    ///
    /// # Errors
    /// [`Code::NotFound`] also where it has none.
    pub async fn deploy_key_get(&self, org: OrgId, id: AppId) -> Result<DeployKey, PublicError> {
        Ok(app::git_access::key_get(&self.context, org, id).await?)
    }

    /// Makes that key, unless there is one.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] for a preview, for an address that is not one of
    /// ssh, and for an app that is being removed.
    pub async fn deploy_key_make(&self, org: OrgId, id: AppId) -> Result<DeployKey, PublicError> {
        Ok(app::git_access::key_make(&self.context, org, id).await?)
    }

    /// Forgets that key. Fine where there is none.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] as for [`Deploy::deploy_key_make`].
    pub async fn deploy_key_forget(&self, org: OrgId, id: AppId) -> Result<(), PublicError> {
        Ok(app::git_access::key_forget(&self.context, org, id).await?)
    }

    /// Removes an app with its previews: their hosts lead nowhere when this
    /// returns, the rest follows. Of one that was removed there is nothing to do.
    ///
    /// # Errors
    /// [`Code::NotFound`] for an id that never was one of the org's apps.
    pub async fn app_delete(&self, org: OrgId, id: AppId) -> Result<(), PublicError> {
        Ok(app::remove::want(&self.context, org, id).await?)
    }

    /// Deploys a branch, a commit, or the head of what the app follows, under this
    /// new id. Older deployments of the app that are under way stop.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidRequest`], [`Code::Conflict`] while it is being removed.
    pub async fn deployment_create(
        &self,
        id: DeploymentId,
        org: OrgId,
        app: AppId,
        request: CreateDeployment,
    ) -> Result<Deployment, PublicError> {
        let row = self.new_deployment(id, org, app, request).await?;
        Ok(view::deployment(&row))
    }

    /// What became of a deployment's creation whose end nobody heard. `None` when
    /// it was never made.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn deployment_made(
        &self,
        org: OrgId,
        id: DeploymentId,
    ) -> Result<Option<Deployment>, PublicError> {
        let row = self.context.store.deployment_get(id).await.map_err(DeployError::from)?;
        Ok(row.filter(|row| row.org == org).map(|row| view::deployment(&row)))
    }

    /// Goes back to an earlier deployment, as it was when it was ready, under this new id: the
    /// one before that which is live, or the one that is named.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] when there is none to go back to.
    pub async fn app_rollback(
        &self,
        id: DeploymentId,
        org: OrgId,
        app: AppId,
        request: Rollback,
    ) -> Result<Deployment, PublicError> {
        let store = &self.context.store;
        let live = store.deployment_list_live(app, MAX_GONE_BACK).await;
        let live = live.map_err(DeployError::from)?;
        let choose = |app: &AppRow| match request.deployment_id {
            Some(wanted) => live.iter().find(|row| row.id == wanted).cloned().ok_or_else(|| {
                PublicError::new(Code::Conflict, "that deployment was never live, or long ago")
                    .hint("`GET /v1/apps/{id}/deploys` lists those that were")
            }),
            None => {
                let active = live.iter().find(|row| Some(row.id) == app.active_deployment);
                let before = active.and_then(|active| beginning::before(&live, active));
                before.cloned().ok_or_else(|| {
                    PublicError::new(Code::Conflict, "there is no earlier deployment to go back to")
                })
            }
        };
        let row = self.again(id, org, app, Reason::Rollback, choose).await?;
        Ok(view::deployment(&row))
    }

    /// Starts what is live anew, with the environment that the app has now and without a
    /// build, under this new id. It serves until the new one does.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] when nothing is live.
    pub async fn app_restart(
        &self,
        id: DeploymentId,
        org: OrgId,
        app: AppId,
    ) -> Result<Deployment, PublicError> {
        let live = self.context.store.deployment_list_live(app, MAX_GONE_BACK).await;
        let live = live.map_err(DeployError::from)?;
        let choose = |app: &AppRow| {
            let active = live.iter().find(|row| Some(row.id) == app.active_deployment);
            active.cloned().ok_or_else(|| {
                PublicError::new(Code::Conflict, "nothing of the app is live").hint("deploy it")
            })
        };
        let row = self.again(id, org, app, Reason::Restart, choose).await?;
        Ok(view::deployment(&row))
    }

    /// A deployment of what an earlier one made live.
    async fn again(
        &self,
        id: DeploymentId,
        org: OrgId,
        app: AppId,
        reason: Reason,
        choose: impl FnOnce(&AppRow) -> Result<DeploymentRow, PublicError>,
    ) -> Result<DeploymentRow, DeployError> {
        app::find::one(&self.context, org, app).await?;
        let mut tx = self.context.store.begin().await?;
        let app = kept(&mut tx, app).await?;
        let earlier = choose(&app)?;
        let mut effects = Effects::default();
        let order = Order::again(&earlier, reason);
        let row = create::create_as(id, &mut tx, &app, order, &mut effects).await?;
        self.context.commit(tx, effects).await?;
        Ok(row)
    }

    async fn new_deployment(
        &self,
        id: DeploymentId,
        org: OrgId,
        app: AppId,
        request: CreateDeployment,
    ) -> Result<DeploymentRow, DeployError> {
        let app = app::find::one(&self.context, org, app).await?;
        let git_ref = match (request.git_ref, &app.kind) {
            (Some(git_ref), _) if is_commit(&git_ref) || is_branch(&git_ref) => git_ref,
            (Some(_), _) => {
                let message = "git_ref is a branch, or a commit of 40 hex digits";
                return Err(PublicError::invalid("git_ref", message).into());
            }
            (None, AppKind::App) => app.git_branch.clone(),
            (None, AppKind::Preview(preview)) => format!("refs/pull/{}/head", preview.pr_number),
        };
        let commit = if is_commit(&git_ref) { git_ref.as_str() } else { "" };
        let mut tx = self.context.store.begin().await?;
        let app = kept(&mut tx, app.id).await?;
        let mut effects = Effects::default();
        let mut order = Order::of(&git_ref, commit, Reason::Api);
        order.is_fresh = request.fresh.unwrap_or(false);
        let row = create::create_as(id, &mut tx, &app, order, &mut effects).await?;
        self.context.commit(tx, effects).await?;
        Ok(row)
    }

    /// An app's deployments, newest first.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn deployment_list(
        &self,
        org: OrgId,
        app: AppId,
        page: PageRequest<DeploymentId>,
    ) -> Result<List<Deployment>, PublicError> {
        let app = app::find::one(&self.context, org, app).await?;
        let before = page.after.map(|cursor| cursor.id);
        let rows = self.context.store.deployment_list(app.id, before, page.rows()).await;
        let rows = rows.map_err(DeployError::from)?;
        let place = |row: &DeploymentRow| Cursor { created: row.created, id: row.id };
        Ok(List::of(rows, &page, place, view::deployment))
    }

    /// One deployment, and its log so far, which is held for `account`.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Unavailable`] when there is no room for the log.
    pub async fn deployment_get(
        &self,
        org: OrgId,
        app: AppId,
        id: DeploymentId,
        account: &Account,
    ) -> Result<(Deployment, Held<Vec<u8>>), PublicError> {
        let row = self.deployment(org, app, id).await?;
        let _page = account.take(log::PAGE_BYTES).map_err(PublicError::from)?;
        let mut log = Held::nothing(account);
        let keep = |text: &str| Ok(log.push(text.as_bytes()).map_err(PublicError::from)?);
        self.context.logs.read::<DeployError>(row.id, keep).await?;
        Ok((view::deployment(&row), log))
    }

    /// A deployment's log from its start, then live; it ends when the deployment has.
    ///
    /// # Errors
    /// [`Code::NotFound`]; the stream ends in an error when the rows cannot be read.
    pub async fn log_follow(
        &self,
        org: OrgId,
        app: AppId,
        id: DeploymentId,
    ) -> Result<BoxStream<'static, Result<LogLine, PublicError>>, PublicError> {
        let row = self.deployment(org, app, id).await?;
        Ok(self.context.logs.follow(row.id))
    }

    async fn deployment(
        &self,
        org: OrgId,
        app: AppId,
        id: DeploymentId,
    ) -> Result<DeploymentRow, DeployError> {
        let app = app::find::one(&self.context, org, app).await?;
        let row = self.context.store.deployment_get(id).await?.filter(|row| row.app == app.id);
        row.ok_or_else(|| PublicError::not_found("deployment", id).into())
    }

    /// The sandbox where an app is live.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] where nothing is live.
    pub async fn app_sandbox(&self, org: OrgId, app: AppId) -> Result<SandboxId, PublicError> {
        Ok(once::sandbox(&app::find::one(&self.context, org, app).await?)?)
    }

    /// What runs a command once where an app is live, in its folder and with the environment
    /// of its processes (but `PORT`), and the sandbox that is to be told.
    ///
    /// # Errors
    /// As [`Deploy::app_sandbox`].
    pub async fn app_command(
        &self,
        org: OrgId,
        app: AppId,
        argv: Vec<String>,
        timeout: Duration,
    ) -> Result<(SandboxId, Exec), PublicError> {
        let app = app::find::one(&self.context, org, app).await?;
        let told = once::command(&self.context, &app, argv, timeout).await?;
        Ok((told.sandbox, told.exec))
    }

    /// Takes a forge's webhook: what follows from it is promised when this returns.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] without the right signature, [`Code::Unavailable`]
    /// without a secret to check it with, [`Code::InvalidRequest`].
    pub async fn webhook(&self, request: WebhookRequest<'_>) -> Result<Delivery, PublicError> {
        Ok(receive::receive(&self.context, self.secret.as_ref(), request).await?)
    }

    fn view(&self, row: &AppRow) -> App {
        app::view::app(row, &self.context.urls)
    }
}

/// An app again, now that nobody else writes.
async fn kept(tx: &mut Tx, app: AppId) -> Result<AppRow, DeployError> {
    let app = tx.app_get(app).await?.filter(|app| app.presence == Presence::Kept);
    Ok(app.ok_or_else(app::find::leaving)?)
}

async fn load_routes(context: &Context) -> Result<(), DeployError> {
    let mut after: Option<String> = None;
    loop {
        let page = context.store.route_list(after.as_deref(), PAGE_ROUTES).await?;
        for route in &page {
            context.routes.apply(route);
        }
        match page.last() {
            Some(last) if page.len() == PAGE_ROUTES as usize => after = Some(last.label.clone()),
            _ => break,
        }
    }
    let mut after: Option<String> = None;
    loop {
        let page = context.store.domain_route_list(after.as_deref(), PAGE_ROUTES).await?;
        for domain in &page {
            context.routes.apply_domain(domain);
        }
        match page.last() {
            Some(last) if page.len() == PAGE_ROUTES as usize => after = Some(last.name.clone()),
            _ => return Ok(()),
        }
    }
}
