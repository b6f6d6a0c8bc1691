//! Rows: what the server must still know after any crash. SQL lives here and nowhere else.
//!
//! One file for each noun, methods `noun_verb`. Read [`Store`] first, then the
//! noun you need. Rules that every method keeps:
//! - a write of state names what it expects (a generation, a status, a lease) and
//!   answers [`Swap`]; nobody overwrites what they have not seen;
//! - intent and observed columns are never written by the same method;
//! - writes that belong together go through one [`Tx`];
//! - statements are the common subset of SQLite and PostgreSQL, with `$1`
//!   placeholders, and every list is paged by key or bounded.
//!
//! What never lives here: policy, files of sandboxes, secrets in the clear
//! (columns that hold them are sealed by [`Sealer`]). There is no change feed yet:
//! one process holds the store, and tells itself what changed.

mod app;
mod column;
mod cron;
mod delivery;
mod deployment;
mod deployment_log;
mod domain;
mod domain_route;
mod env;
mod error;
mod event;
mod idempotency;
mod job;
mod key;
mod open;
mod org;
mod page;
mod pull_request;
mod repo;
mod route;
mod run;
mod sandbox;
mod schedule;
mod seal;
mod snapshot;
mod swap;
mod template;
mod template_build;
mod volume;

pub use app::{AppKind, AppRow, DeployKey, Flip, Listed, Presence, PreviewOf};
pub use cron::{CronRow, CronRunRow, CronWish};
pub use delivery::{DeliveryRow, VerdictRow};
pub use deployment::{DeploymentRow, Entered, KeptCommit};
pub use deployment_log::LogRow;
pub use domain::DomainRow;
pub use env::{Env, EnvValue};
pub use error::StoreError;
pub use event::EventRow;
pub use idempotency::{Claim, IdempotencyRow};
pub use job::{Finish, JobRow, JobWish, Lease};
pub use key::{KeyRow, KeyUse};
pub use open::{Store, Tx};
pub use org::{OrgRow, QuotaRow};
pub use pull_request::PreviewedPull;
pub use repo::RepoRow;
pub use run::{MissRow, RunEnd, RunRow};
pub use sandbox::{Actual, Desired, MadeOf, SandboxLife, SandboxRow};
pub use schedule::{RunningRow, ScheduleRow};
pub use seal::{SealError, Sealer};
pub use snapshot::{SnapshotRow, SnapshotSize, SnapshotState};
pub use swap::{Insert, Swap};
pub use template::TemplateRow;
pub use template_build::TemplateBuildRow;
pub use volume::{VolumeRow, VolumeState, VolumeUse};
