//! From a commit to a healthy sandbox behind a URL.
//!
//! [`Deploy`] is the face: what the API asks. Behind it, in the order of the work:
//! - `webhook`: what a forge says happened, proven, and what is decided about it;
//! - `preview`, `app`: the rows of pull requests and of users, and their hosts;
//! - `domain`: names of users' own, once `dns` says that they are theirs;
//! - `repo`: what is asked of all apps of a repository at once;
//! - `deployment`: from the queue to live, step by step; `state` is the picture;
//! - `git`: mirrors on the host; `detect`: what kind of app it is, and why;
//! - `run_log`: what the processes of an app say while they run;
//! - `layer`: what was installed, kept for the next deployment;
//! - `manifest`: what `pando.toml` in a repository may say;
//! - `machine`: the seam to the node; `forge`: comments and statuses;
//! - `job`: what is to be done, and survives a restart; `worker`: who does it.
//!
//! What never lives here: HTTP routes, SQL, VMs. Invariants: a repository's code
//! runs in sandboxes only and its credentials never enter one; an app's host
//! leads to the old version until the new one answered; whatever was promised is
//! a row before it is begun.

mod app;
mod config;
mod context;
mod cron;
mod deploy;
mod deployment;
mod detect;
mod dns;
mod domain;
mod error;
pub mod forge;
mod git;
mod job;
mod layer;
pub mod machine;
pub mod manifest;
mod preview;
mod repo;
mod run_log;
mod secret;
mod webhook;
mod worker;

pub use config::DeployConfig;
pub use deploy::Deploy;
pub use deployment::log::LogLine;
pub use dns::DnsServer;
pub use domain::add::Added;
pub use error::DeployError;
pub use git::HostPort;
pub use run_log::RunLog;
pub use secret::Secret;
pub use webhook::receive::WebhookRequest;
