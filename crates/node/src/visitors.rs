//! Whoever leads visitors into sandboxes, as the node sees it.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pando_types::SandboxId;

/// How long visitors that are inside have to leave before a sandbox sleeps that was told to.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// What the node asks of the edge before a sandbox sleeps. It answers from memory.
pub trait Visitors: Send + Sync + 'static {
    /// Whether anybody is inside, waits to be let in, or was inside since this was last
    /// asked.
    fn were_there(&self, sandbox: SandboxId) -> bool;

    /// Lets nobody more in as things are: whoever comes asks the node for a sandbox that
    /// runs, and waits. Those inside go on.
    fn close(&self, sandbox: SandboxId);

    /// Returns when those have left who were inside as it was closed; who has not after
    /// `grace` is cut off.
    fn clear(&self, sandbox: SandboxId, grace: Duration) -> BoxFuture<'static, ()>;
}

/// No edge: nobody comes.
pub(crate) struct Nobody;

impl Visitors for Nobody {
    fn were_there(&self, _sandbox: SandboxId) -> bool {
        false
    }

    fn close(&self, _sandbox: SandboxId) {}

    fn clear(&self, _sandbox: SandboxId, _grace: Duration) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}
