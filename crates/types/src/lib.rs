//! The words that Pando's crates share: ids, units, API shapes, the public error.
//!
//! What never lives here: I/O, clocks, SQL, policy. Read [`id`] first (which
//! nouns exist), then [`error`] (how a refusal reaches a person), then the API
//! shapes by noun.

pub mod api;
pub mod app;
pub mod clock;
pub mod cron;
pub mod domain;
pub mod env;
pub mod error;
pub mod id;
pub mod limits;
pub mod machine;
mod number;
pub mod page;
mod present;
pub mod process;
pub mod quota;
pub mod repl;
pub mod repo;
pub mod route;
pub mod sandbox;
pub mod schedule;
pub mod schema;
pub mod snapshot;
pub mod template;
pub mod toml;
pub mod url;
pub mod volume;

pub use clock::{Clock, SystemClock, Timestamp};
pub use error::{Code, PublicError, Refusal};
pub use id::{
    ApiKeyId, AppId, BootId, DeliveryId, DeploymentId, DomainId, Epoch, Generation, JobId, NodeId,
    OpId, OrgId, SandboxId, ScheduleId, SnapshotId, TemplateBuildId, TreeId, VolumeId,
};
