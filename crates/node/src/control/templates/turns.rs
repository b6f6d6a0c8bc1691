//! Whose build goes next: one of an org at a time, and few on the host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pando_types::OrgId;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// The builds of this host that run at once: each is a machine that works hard.
const MAX_BUILDS: usize = 2;

/// Who waits. How many do is bounded by the rows.
pub(super) struct Turns {
    host: Arc<Semaphore>,
    orgs: Mutex<HashMap<OrgId, Arc<Turn<()>>>>,
}

/// The right to build, as long as it lives.
pub(super) struct Taken {
    _org: OwnedMutexGuard<()>,
    _host: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { host: Arc::new(Semaphore::new(MAX_BUILDS)), orgs: Mutex::default() }
    }

    /// Waits for the turn of an org.
    pub(super) async fn take(&self, org: OrgId) -> Taken {
        let turn = {
            let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
            orgs.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(orgs.entry(org).or_default())
        };
        let org = turn.lock_owned().await;
        // Never closed.
        let host = Arc::clone(&self.host).acquire_owned().await.ok();
        Taken { _org: org, _host: host }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn one_of_an_org_and_few_of_the_host() {
        let turns = Turns::new();
        let (a, b, c) = (OrgId::new(), OrgId::new(), OrgId::new());
        let first = turns.take(a).now_or_never().unwrap();
        assert!(turns.take(a).now_or_never().is_none());
        let second = turns.take(b).now_or_never().unwrap();
        assert!(turns.take(c).now_or_never().is_none());
        drop(first);
        let third = turns.take(c).now_or_never().unwrap();
        drop((second, third));
        assert!(turns.take(a).now_or_never().is_some());
        assert!(turns.orgs.lock().unwrap().len() <= 3);
    }
}
