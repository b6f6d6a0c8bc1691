//! The face of deployments: what the API asks, each in one call.

mod apps;
mod crons;
mod deliveries;
mod deployments;
mod domains;
mod env;
mod repos;

use std::sync::Arc;

use pando_node::Routes;
use pando_node::garbage::Cache;
use pando_store::{Sealer, Store};
use pando_types::PublicError;
use pando_types::app::Delivery;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::{Context, Running};
use crate::deployment::log::LogBook;
use crate::deployment::revive;
use crate::dns::Dns;
use crate::error::DeployError;
use crate::git::Mirrors;
use crate::job::Wakes;
use crate::machine::Machines;
use crate::secret::Secret;
use crate::webhook::receive::{self, WebhookRequest};
use crate::{DeployConfig, cron, preview, worker};

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
            changes: watch::Sender::new(0),
            running: Running::default(),
            boot: config.boot,
            health_grace: config.health_grace,
            settle_beside: config.settle_beside,
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
        tasks.spawn(preview::sweep::keep(Arc::clone(&context), config.pull_requests_every));
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

    /// Takes a forge's webhook: what follows from it is promised when this returns.
    ///
    /// # Errors
    /// [`Code::Unauthorized`](pando_types::Code::Unauthorized) without the right signature,
    /// [`Code::Unavailable`](pando_types::Code::Unavailable) without a secret to check it with,
    /// [`Code::InvalidRequest`](pando_types::Code::InvalidRequest).
    pub async fn webhook(&self, request: WebhookRequest<'_>) -> Result<Delivery, PublicError> {
        Ok(receive::receive(&self.context, self.secret.as_ref(), request).await?)
    }
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
