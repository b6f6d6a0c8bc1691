//! Many microVMs on this host: bake, restore, reap, recover.
//!
//! - [`Node`] ([`node`](Node)): what may be asked of this host's sandboxes. Read it first.
//! - [`control`]: rows and placement: which node a sandbox lives on, and what its
//!   owner sees of it. What the API and deployments use.
//! - [`guest`]: the client of a guest's agent.
//! - [`held`]: how much the server holds for requests, over all of them.
//! - `sandbox`: one sandbox's states, the actor that acts for it, its manifest.
//! - `image`: a saved machine, that others are made of.
//! - `capacity`: whose create goes next, and whether there is room for it.
//! - [`garbage`]: what can be made anew, and goes when the disk is short; `stalled`: what a
//!   full disk stopped.
//! - `bake`: from a recipe to machines; `reconcile`: what a start finds.
//! - [`Routes`]: host → sandbox, for the edge.
//!
//! What never lives here: HTTP, SQL, git, and anything about what runs in a guest.
//! Invariant: nothing outside `sandbox::actor` acts on a sandbox's machine or files.

mod bake;
mod capacity;
pub mod control;
mod data;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod garbage;
pub mod guest;
pub mod held;
mod image;
mod node;
mod quotas;
mod random;
mod reconcile;
mod routes;
mod sandbox;
mod shared;
mod slots;
mod stalled;
#[cfg(test)]
mod tests;
mod trim;
mod visitors;

pub use bake::{BakeError, Progress, Recipe, RecipeError};
pub use capacity::promised::Overcommit;
pub use data::{DataDir, DataError};
pub use node::{
    BadDiskName, BegunDisk, Child, ConnectError, DiskName, Forked, Life, Node, NodeConfig,
    NodeError, Observation, SandboxSpec, Snapshot, Source,
};
pub use pando_vm::sys::fault;
pub use quotas::Quotas;
pub use routes::Routes;
pub use sandbox::policy::State;
pub use sandbox::spare::{Disk, Spare};
pub use shared::Report;
pub use slots::WarmSlots;
pub use visitors::Visitors;

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What a guest or its VMM said, fit for a log and a terminal: the beginning,
/// without control characters.
pub(crate) fn quote(said: &str) -> String {
    plain(said, 300)
}

/// The first characters of a text, at most so many, with blanks for control characters.
pub(crate) fn plain(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
