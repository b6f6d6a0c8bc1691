//! What is said when a sandbox ends.

use pando_types::{AppId, SandboxId};

/// Endings that wait for a slow listener; one that misses some is told so.
pub(super) const QUEUE_ENDINGS: usize = 256;

/// A sandbox that failed or is gone: nothing answers there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Which one.
    pub sandbox: SandboxId,
    /// The app that it was made for.
    pub app: Option<AppId>,
}
