//! Deployments: each one attempt to make one commit of an app live.
//!
//! [`state`] decides what follows; [`run`] is the one task that acts, and hands
//! each step to a file of its own: `fetch`, `install`, `command` (install and build),
//! `image` (what is built by a Dockerfile instead), `start`, `check`, `flip`; `machine` makes
//! what it all happens in. What need not be built is brought back: `beginning` decides, `ready`
//! acts, `prune` keeps little. What commands and processes find in their environment is made in
//! [`environment`], where they run is in `place`, also for those that are run [`once`].
//! [`create`] and [`supersede`] are what requests and webhooks do to rows, [`order`] and [`again`]
//! what the API asks for. [`sweep`] removes sandboxes that nobody needs, [`revive`] brings back an
//! app whose sandbox died.

pub(crate) mod again;
mod beginning;
mod check;
mod command;
pub(crate) mod create;
pub(crate) mod environment;
mod fetch;
mod flip;
mod image;
mod install;
pub(crate) mod lines;
pub(crate) mod log;
mod machine;
pub(crate) mod once;
pub(crate) mod order;
mod place;
pub(crate) mod prune;
mod ready;
pub(crate) mod reason;
pub(crate) mod redact;
pub(crate) mod revive;
pub(crate) mod run;
mod settings;
pub(crate) mod shape;
mod start;
pub(crate) mod state;
pub(crate) mod supersede;
pub(crate) mod sweep;
mod tools;
mod tree;
pub(crate) mod view;

use pando_store::DeploymentRow;

use crate::detect::Plan;

pub(crate) use start::WEB;

/// How a deployment goes about it; none before that is known, and where an older server kept
/// another kind of plan.
pub(crate) fn plan_of(row: &DeploymentRow) -> Option<Plan> {
    row.plan.as_deref().and_then(|plan| serde_json::from_str(plan).ok())
}
