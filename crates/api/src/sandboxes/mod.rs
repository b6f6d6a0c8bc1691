//! `/v1/sandboxes`: a file per verb; `fs` holds the verbs on a sandbox's files.

pub mod create;
pub mod delete;
pub mod events;
pub mod exec;
pub(crate) mod exec_request;
pub mod exec_stream;
pub mod exec_ws;
pub mod fork;
pub mod fork_tree;
pub mod fs;
pub mod get;
pub mod hibernate;
pub mod lease;
pub mod lifecycle;
pub mod list;
pub mod logs;
pub mod metrics;
pub mod pause;
pub mod ports;
pub mod processes;
pub mod promote;
pub mod pty;
pub mod repl;
pub mod resume;
pub mod schedules;
pub mod snapshot;
pub mod stats;
pub mod wake;

use pando_node::guest::Guest;
use pando_types::SandboxId;

use crate::Api;
use crate::auth::Caller;
use crate::extract;
use crate::refusal::Refused;

/// The sandbox id in a path.
fn sandbox_id(text: &str) -> Result<SandboxId, Refused> {
    Ok(extract::id("sandbox", text)?)
}

/// The agent of a sandbox that the caller owns; one that sleeps is woken first.
async fn guest(api: &Api, caller: &Caller, id: &str) -> Result<Guest, Refused> {
    Ok(api.sandboxes.guest(caller.org, sandbox_id(id)?).await?)
}
