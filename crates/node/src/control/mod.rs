//! Rows and nodes together: where a sandbox lives, what is wanted of it, and what
//! its owner sees. Today there is one node, in this process.
//!
//! Order of every change: the row says what is wanted, the node makes it so, the
//! node's report says what is. A crash between any two leaves a row that differs
//! from the node, and [`Sandboxes::start`] ends the difference.

mod apps;
mod create;
mod ending;
mod events;
mod fork;
mod journal;
mod lifecycle;
mod quotas;
mod sandboxes;
pub mod schedules;
mod settle;
mod snapshots;
mod spec;
mod states;
mod sync;
mod templates;
mod times;
mod view;
mod volumes;

pub use apps::AppMachine;
pub use ending::Ending;
pub use sandboxes::Sandboxes;
pub use schedules::{BadCron, Cron};
pub use templates::{AppImage, AppImageError, AppImageLog, Contents, Templates, Upload};
