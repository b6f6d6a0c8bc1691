//! Work that outlives requests and restarts: job rows, and the tasks that do them.
//!
//! Each kind has workers of its own, so that a removal never waits behind a
//! build. Every job looks at the rows first and does what is left to do: it may
//! be put twice, run twice, and be cut at any point.

mod worker;

pub(crate) use worker::{Outcome, backoff};

use std::sync::Arc;

use pando_store::{JobWish, StoreError, Tx};
use pando_types::{AppId, DeploymentId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::context::Context;

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bring a deployment to its end. Keyed by deployment.
    Deploy,
    /// Remove the sandboxes of a deployment that does not serve. Keyed by deployment.
    Sweep,
    /// Bring back an app whose machine died. Keyed by app.
    Revive,
    /// Remove an app. Keyed by app.
    Remove,
    /// Say in the pull request how its preview is. Keyed by preview.
    Comment,
    /// Say at the commit how its deployment is. Keyed by deployment.
    Status,
}

/// What a job of each kind must know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub app: AppId,
    /// Absent for jobs about an app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Deploy, Self::Sweep, Self::Revive, Self::Remove, Self::Comment, Self::Status];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Sweep => "sweep",
            Self::Revive => "revive",
            Self::Remove => "remove",
            Self::Comment => "comment",
            Self::Status => "status",
        }
    }

    /// How many run at once, where deployments have `deployments`.
    const fn workers(self, deployments: usize) -> usize {
        match self {
            Self::Deploy => deployments,
            Self::Sweep | Self::Remove => 2,
            Self::Revive | Self::Comment | Self::Status => 1,
        }
    }
}

/// Wants a job about a deployment done.
pub(crate) async fn put_deployment(
    tx: &mut Tx,
    kind: Kind,
    app: AppId,
    deployment: DeploymentId,
    run_at: Timestamp,
) -> Result<(), StoreError> {
    let payload = Payload { app, deployment: Some(deployment) };
    put(tx, kind, &deployment.to_string(), payload, run_at).await
}

/// Wants a job about an app done, at once.
pub(crate) async fn put_app(tx: &mut Tx, kind: Kind, app: AppId) -> Result<(), StoreError> {
    let now = tx.now();
    put(tx, kind, &app.to_string(), Payload { app, deployment: None }, now).await
}

async fn put(
    tx: &mut Tx,
    kind: Kind,
    key: &str,
    payload: Payload,
    run_at: Timestamp,
) -> Result<(), StoreError> {
    // Two ids: it has a JSON form.
    let payload = serde_json::to_string(&payload).unwrap_or_default();
    tx.job_put(&JobWish { kind: kind.as_str(), key, payload: &payload, run_at }).await
}

/// Tells idle workers that there is something to do.
pub(crate) struct Wakes([watch::Sender<()>; Kind::ALL.len()]);

impl Wakes {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| watch::Sender::new(())))
    }

    pub(crate) fn wake(&self, kind: Kind) {
        self.of(kind).send_replace(());
    }

    fn of(&self, kind: Kind) -> &watch::Sender<()> {
        // The order of the variants is that of `ALL`.
        &self.0[kind as usize]
    }
}

/// Starts every worker.
pub(crate) fn start(context: &Arc<Context>, tasks: &TaskTracker, deployments: usize) {
    for kind in Kind::ALL {
        for _ in 0..kind.workers(deployments) {
            tasks.spawn(worker::work(Arc::clone(context), kind));
        }
    }
}
