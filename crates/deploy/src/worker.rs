//! The tasks that do the jobs. Each claims one, does it under a lease that it renews,
//! and gives it back or ends it.
//!
//! Each kind has workers of its own, so that a removal never waits behind a build.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use pando_store::{Finish, JobRow};
use tokio_util::task::TaskTracker;

use crate::context::Context;
use crate::error::DeployError;
use crate::job::{Kind, Outcome, Payload, backoff};
use crate::{app, deployment, domain, forge};

/// How long a lease holds without being renewed.
const LEASE: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// How long an idle worker sleeps at most.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The pause after a store that cannot be asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Starts every worker.
pub(crate) fn start(context: &Arc<Context>, tasks: &TaskTracker, deployments: usize) {
    for kind in Kind::ALL {
        for _ in 0..kind.workers(deployments) {
            tasks.spawn(work(Arc::clone(context), kind));
        }
    }
}

async fn work(context: Arc<Context>, kind: Kind) {
    let mut woken = context.wakes.of(kind).subscribe();
    while !context.shutdown.is_cancelled() {
        // Before the claim: what is put after it wakes us.
        woken.mark_unchanged();
        let pause = match context.store.job_claim(kind.as_str(), context.boot, LEASE).await {
            Ok(Some(job)) => {
                perform(&context, kind, &job).await;
                continue;
            }
            Ok(None) => until_next(&context, kind).await,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no job can be claimed");
                STORE_PAUSE
            }
        };
        tokio::select! {
            _ = woken.changed() => {}
            () = tokio::time::sleep(pause) => {}
            () = context.shutdown.cancelled() => {}
        }
    }
}

async fn until_next(context: &Context, kind: Kind) -> Duration {
    match context.store.job_next(kind.as_str()).await {
        Ok(Some(at)) => {
            at.since(context.store.now()).clamp(Duration::from_millis(10), LONGEST_SLEEP)
        }
        _ => LONGEST_SLEEP,
    }
}

async fn perform(context: &Arc<Context>, kind: Kind, job: &JobRow) {
    let doing = AssertUnwindSafe(act(context, kind, job)).catch_unwind();
    let mut doing = std::pin::pin!(doing);
    let mut renew = tokio::time::interval(RENEW_EVERY);
    renew.tick().await;
    let outcome = loop {
        tokio::select! {
            done = &mut doing => break done,
            _ = renew.tick() => match context.store.job_renew(&job.lease, LEASE).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(kind = kind.as_str(), key = job.key, "a job was taken over");
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a lease was not renewed");
                }
            },
        }
    };
    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            tracing::error!(
                kind = kind.as_str(),
                key = job.key,
                attempts = job.attempts,
                error = &error as &dyn std::error::Error,
                "a job failed"
            );
            Outcome::Again(backoff(job.attempts))
        }
        Err(_) => {
            tracing::error!(kind = kind.as_str(), key = job.key, "a job panicked");
            Outcome::Again(backoff(job.attempts))
        }
    };
    let ended = match outcome {
        Outcome::Done => {
            context.store.job_finish(&job.lease).await.map(|finish| finish == Finish::Again)
        }
        Outcome::Again(pause) => {
            context.store.job_retry(&job.lease, context.store.now().plus(pause)).await
        }
    };
    match ended {
        Ok(true) => context.wakes.wake(kind),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a job's end was not kept");
        }
    }
}

async fn act(context: &Arc<Context>, kind: Kind, job: &JobRow) -> Result<Outcome, DeployError> {
    let Ok(payload) = serde_json::from_str::<Payload>(&job.payload) else {
        tracing::error!(
            kind = kind.as_str(),
            key = job.key,
            "a job that nobody understands is dropped"
        );
        return Ok(Outcome::Done);
    };
    let brief = async {
        match (kind, payload.deployment) {
            (Kind::Revive, _) => deployment::revive::run(context, payload.app).await,
            (Kind::Remove, _) => app::remove::run(context, payload.app).await,
            (Kind::Comment, _) => forge::report::comment(context, payload.app, job.attempts).await,
            (Kind::Sweep, Some(id)) => deployment::sweep::run(context, payload.app, id).await,
            (Kind::Status, Some(id)) => forge::report::status(context, id, job.attempts).await,
            (Kind::Domain, _) => match payload.domain {
                Some(id) => domain::check::run(context, id, job.attempts).await,
                None => Ok(Outcome::Done),
            },
            (_, None) | (Kind::Deploy, _) => Ok(Outcome::Done),
        }
    };
    match (kind, payload.deployment) {
        // It notices the shutdown itself, and leaves its log whole.
        (Kind::Deploy, Some(id)) => deployment::run::run(context, payload.app, id).await,
        _ => tokio::select! {
            outcome = brief => outcome,
            () = context.shutdown.cancelled() => Ok(Outcome::Again(Duration::ZERO)),
        },
    }
}
