//! What every part of deployments stands on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pando_node::Routes;
use pando_store::{Sealer, Store, StoreError, Tx};
use pando_types::route::{DomainChange, RouteChange};
use pando_types::url::PublicUrls;
use pando_types::{AppId, BootId, DeploymentId};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::deployment::log::LogBook;
use crate::dns::Dns;
use crate::forge::Forge;
use crate::git::Mirrors;
use crate::job::{Kind, Wakes};
use crate::machine::Machines;

pub(crate) struct Context {
    pub store: Store,
    pub sealer: Sealer,
    pub machines: Arc<dyn Machines>,
    pub mirrors: Arc<Mirrors>,
    pub routes: Routes,
    pub urls: PublicUrls,
    pub forge: Option<Arc<dyn Forge>>,
    pub dns: Dns,
    pub logs: LogBook,
    pub wakes: Wakes,
    /// Told when the rows of apps' cron have changed.
    pub cron_changed: Notify,
    /// Counts the commits that may have changed an app or what is live of it.
    pub changes: watch::Sender<u64>,
    pub running: Running,
    pub boot: BootId,
    /// How long an app may take until it answers.
    pub health_grace: Duration,
    /// How long one that answers is watched while another version of it serves.
    pub settle_beside: Duration,
    /// How long the former sandbox goes on after a flip.
    pub drain: Duration,
    pub shutdown: CancellationToken,
}

/// What a committed transaction sets in motion. Rows come first; whatever of this
/// a crash leaves undone follows from them at the next start.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Effects {
    pub routes: Vec<RouteChange>,
    pub domains: Vec<DomainChange>,
    pub stop: Vec<DeploymentId>,
    pub wake: Vec<Kind>,
}

impl Effects {
    /// Adds what another change sets in motion in the same transaction.
    pub(crate) fn join(&mut self, other: Self) {
        let Self { routes, domains, stop, wake } = other;
        self.routes.extend(routes);
        self.domains.extend(domains);
        self.stop.extend(stop);
        self.wake.extend(wake);
    }
}

impl Context {
    /// Commits, then acts.
    pub(crate) async fn commit(&self, tx: Tx, effects: Effects) -> Result<(), StoreError> {
        tx.commit().await?;
        self.act(&effects);
        Ok(())
    }

    pub(crate) fn act(&self, effects: &Effects) {
        for route in &effects.routes {
            self.routes.apply(route);
        }
        for domain in &effects.domains {
            self.routes.apply_domain(domain);
        }
        for deployment in &effects.stop {
            self.running.stop(*deployment);
        }
        for kind in &effects.wake {
            self.wakes.wake(*kind);
        }
        self.logs.poke();
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells when an app, or what is live of it, may have changed since now.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// The deployments that a task of this process works on.
#[derive(Default)]
pub(crate) struct Running {
    tokens: Mutex<HashMap<DeploymentId, (AppId, CancellationToken)>>,
}

/// Held while a task works on a deployment.
pub(crate) struct Entered<'a> {
    running: &'a Running,
    deployment: DeploymentId,
    /// Cancelled when the work should stop.
    pub stop: CancellationToken,
}

impl Running {
    /// Enters before the row is read: whoever ends the deployment later finds us
    /// here, and who ended it earlier is seen in the row.
    pub(crate) fn enter(
        &self,
        app: AppId,
        deployment: DeploymentId,
        shutdown: &CancellationToken,
    ) -> Entered<'_> {
        let stop = shutdown.child_token();
        self.tokens().insert(deployment, (app, stop.clone()));
        Entered { running: self, deployment, stop }
    }

    fn stop(&self, deployment: DeploymentId) {
        if let Some((_, token)) = self.tokens().get(&deployment) {
            token.cancel();
        }
    }

    pub(crate) fn contains(&self, deployment: DeploymentId) -> bool {
        self.tokens().contains_key(&deployment)
    }

    /// Whether a task works on any deployment of the app.
    pub(crate) fn serves(&self, app: AppId) -> bool {
        self.tokens().values().any(|(known, _)| *known == app)
    }

    fn tokens(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<DeploymentId, (AppId, CancellationToken)>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.running.tokens().remove(&self.deployment);
    }
}
