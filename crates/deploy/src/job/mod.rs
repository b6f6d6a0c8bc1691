//! Work that outlives requests and restarts: job rows, and the tasks that do them.
//!
//! Each kind has workers of its own, so that a removal never waits behind a
//! build. Every job looks at the rows first and does what is left to do: it may
//! be put twice, run twice, and be cut at any point.

pub(crate) mod kind;
mod put;
pub(crate) mod wakes;
mod worker;

pub(crate) use kind::Kind;
pub(crate) use put::{put_app, put_deployment};
pub(crate) use worker::{Outcome, backoff};

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::context::Context;

/// Starts every worker.
pub(crate) fn start(context: &Arc<Context>, tasks: &TaskTracker, deployments: usize) {
    for kind in Kind::ALL {
        for _ in 0..kind.workers(deployments) {
            tasks.spawn(worker::work(Arc::clone(context), kind));
        }
    }
}
