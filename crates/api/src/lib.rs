//! Pando's HTTP API: who asks, what they ask, and how the answer is put. It
//! decides nothing about machines, apps or rows: [`pando_node`], [`pando_deploy`]
//! and [`pando_store`] do.
//!
//! Read `router.rs` first: it lists every route. A folder is a noun and a file
//! is a verb, so `POST /v1/sandboxes/{id}/exec` is `sandboxes/exec.rs`. What all
//! share: `auth` and `key_usage` (keys), `extract`, `query`, `multipart` and `page` (input),
//! `idempotency` (creates that may be repeated), `refusal` (every error) and
//! `refusals` (what the document says of them), `held` (what a request is counted with),
//! `answer`, `guest_log`, `sse`, `socket` and `utf8` (what is written as it is made),
//! `metrics` and `trace` (what is told of each request), `later` (what answers 501).
//! `openapi` is the frame of the document; each route describes itself.

mod answer;
mod apps;
mod auth;
mod domains;
mod extract;
mod guest_log;
mod health;
mod held;
mod idempotency;
pub mod key;
mod key_usage;
mod later;
mod me;
mod metrics;
mod multipart;
mod openapi;
mod page;
mod preview_repos;
mod previews;
mod query;
mod refusal;
mod refusals;
mod repos;
mod router;
mod sandboxes;
mod schemas;
mod snapshots;
mod socket;
mod sse;
mod templates;
mod trace;
mod utf8;
mod volumes;
mod webhooks;

pub use domains::ask::AskRate;
pub use health::Readiness;
pub use idempotency::Repeats;
pub use key_usage::KeyUsage;
pub use metrics::Requests;
pub use router::{document, router};

use pando_types::url::PublicUrls;

/// What the routes stand on. Clones share it.
#[derive(Clone)]
pub struct Api {
    /// Keys and orgs.
    pub store: pando_store::Store,
    /// Sandboxes, by owner.
    pub sandboxes: pando_node::control::Sandboxes,
    /// Templates, and their builds.
    pub templates: pando_node::control::Templates,
    /// This machine: how it runs guests.
    pub node: pando_node::Node,
    /// What `/healthz` answers.
    pub readiness: Readiness,
    /// Apps, deployments, previews, webhooks.
    pub deploy: pando_deploy::Deploy,
    /// How often each route answered what.
    pub requests: Requests,
    /// How fast keys ask.
    pub usage: KeyUsage,
    /// How fast proxies ask about domains.
    pub asks: AskRate,
    /// Creates that may be repeated.
    pub repeats: Repeats,
    /// Where sandboxes are reached.
    pub urls: PublicUrls,
}
