//! Who uses a sandbox through this node: when it was last asked for, and what is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use pando_types::Timestamp;

/// The use of one sandbox.
#[derive(Debug)]
pub(crate) struct Usage {
    last: AtomicI64,
    open: AtomicUsize,
}

/// A client of its agent; dropping it ends the use.
#[derive(Debug)]
pub(crate) struct InUse(Arc<Usage>);

impl Usage {
    pub(crate) fn since(now: Timestamp) -> Arc<Self> {
        Arc::new(Self { last: AtomicI64::new(now.as_millis()), open: AtomicUsize::new(0) })
    }

    pub(crate) fn touch(&self, now: Timestamp) {
        self.last.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Timestamp {
        Timestamp::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Whether there are clients of its agent.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    /// Counts one more. To be called before it is looked whether the sandbox falls
    /// asleep, which looks at these in the other order.
    pub(crate) fn enter(self: &Arc<Self>) -> InUse {
        self.open.fetch_add(1, Ordering::SeqCst);
        InUse(Arc::clone(self))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
