//! The sandboxes that a run of this process is in. One whose app is live elsewhere by now goes
//! when its runs have ended.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pando_types::SandboxId;

/// How many runs are in which sandbox.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<HashMap<SandboxId, usize>>);

/// Held while a run is in a sandbox.
pub(super) struct Entered<'a> {
    under_way: &'a UnderWay,
    sandbox: SandboxId,
}

impl UnderWay {
    pub(super) fn enter(&self, sandbox: SandboxId) -> Entered<'_> {
        *self.sandboxes().entry(sandbox).or_default() += 1;
        Entered { under_way: self, sandbox }
    }

    pub(crate) fn contains(&self, sandbox: SandboxId) -> bool {
        self.sandboxes().contains_key(&sandbox)
    }

    fn sandboxes(&self) -> MutexGuard<'_, HashMap<SandboxId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut sandboxes = self.under_way.sandboxes();
        if let Some(runs) = sandboxes.get_mut(&self.sandbox) {
            *runs -= 1;
            if *runs == 0 {
                sandboxes.remove(&self.sandbox);
            }
        }
    }
}
