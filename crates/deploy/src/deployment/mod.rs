//! Deployments: each one attempt to make one commit of an app live.
//!
//! [`state`] decides what follows; [`run`] is the one task that acts, and hands
//! each step to a file of its own: `fetch`, `command` (install and build),
//! `start`, `check`, `flip`. [`create`] and [`supersede`] are what requests and
//! webhooks do to rows. [`sweep`] removes sandboxes that nobody needs, [`revive`] brings back an app
//! whose sandbox died.

mod check;
mod command;
pub(crate) mod create;
mod fetch;
mod flip;
mod lines;
pub(crate) mod log;
pub(crate) mod reason;
mod redact;
pub(crate) mod revive;
pub(crate) mod run;
mod start;
pub(crate) mod state;
pub(crate) mod supersede;
pub(crate) mod sweep;
mod tools;
pub(crate) mod view;
