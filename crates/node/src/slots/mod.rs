//! Network slots: some are made ahead, so that a create takes one without waiting
//! for namespaces, links and rules. How many follows the demand ([`Stock`]).

mod numbers;
mod stock;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pando_vm::network::{Cidr, Network, NetworkError, Slot, SlotNumber};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::numbers::{MAX_SLOTS, Numbers};
use self::stock::Stock;
pub use self::stock::WarmSlots;

/// How often it is looked whether fewer slots would do.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The slots of this node.
pub(crate) struct Slots {
    network: Network,
    state: Mutex<Counted>,
    taken: Notify,
}

struct Counted {
    numbers: Numbers,
    stock: Stock,
    ready: Vec<Arc<Slot>>,
    /// What an earlier server left, not removed yet.
    discarded: Vec<SlotNumber>,
}

/// Why there is no slot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotError {
    #[error("all {MAX_SLOTS} network slots are in use")]
    None,
    #[error("the network slot")]
    Network(#[from] NetworkError),
}

impl Slots {
    pub(crate) fn new(network: Network, warm: WarmSlots) -> Arc<Self> {
        let counted = Counted {
            numbers: Numbers::default(),
            stock: Stock::new(warm),
            ready: Vec::new(),
            discarded: Vec::new(),
        };
        Arc::new(Self { network, state: Mutex::new(counted), taken: Notify::new() })
    }

    pub(crate) fn mtu(&self) -> u32 {
        self.network.mtu()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot of one's own: a ready one, or one made now.
    pub(crate) async fn take(&self) -> Result<Arc<Slot>, SlotError> {
        let ready = {
            let mut state = self.state();
            let ready = state.ready.pop();
            let left = state.ready.len();
            state.stock.taken(ready.is_some(), left);
            ready
        };
        self.taken.notify_one();
        match ready {
            Some(slot) => Ok(slot),
            None => self.make().await,
        }
    }

    async fn make(&self) -> Result<Arc<Slot>, SlotError> {
        let number = self.state().numbers.take().ok_or(SlotError::None)?;
        match self.network.create_slot(number).await {
            Ok(slot) => Ok(Arc::new(slot)),
            Err(error) => {
                self.state().numbers.give_back(number);
                Err(error.into())
            }
        }
    }

    /// Denies the guest of a slot these addresses; the denial goes with the slot.
    pub(crate) async fn deny(&self, slot: &Slot, denied: &[Cidr]) -> Result<(), SlotError> {
        Ok(self.network.deny(slot.number(), denied).await?)
    }

    /// Takes apart a slot that its sandbox needs no more.
    pub(crate) async fn release(&self, slot: &Slot) -> Result<(), SlotError> {
        self.network.remove_slot(slot.number()).await?;
        self.state().numbers.give_back(slot.number());
        Ok(())
    }

    /// Takes over the slot of a sandbox that an earlier server made.
    pub(crate) fn adopt(&self, number: SlotNumber) -> Result<Arc<Slot>, SlotError> {
        let slot = self.network.open_slot(number)?;
        self.state().numbers.claim(number);
        Ok(Arc::new(slot))
    }

    /// Puts every slot that no adopted sandbox uses aside, to be removed while the
    /// server already serves: each takes a tenth of a second, and nobody waits for
    /// them. Before the first `take`. Returns how many.
    pub(crate) fn discard_unused(&self) -> Result<usize, SlotError> {
        let mut state = self.state();
        let found = self.network.list_slots()?;
        let unused = found.into_iter().filter(|number| !state.numbers.is_taken(*number));
        let unused: Vec<_> = unused.collect();
        for number in &unused {
            state.numbers.claim(*number);
        }
        state.discarded = unused;
        Ok(state.discarded.len())
    }

    async fn remove_discarded(&self, stopping: &CancellationToken) {
        let discarded = std::mem::take(&mut self.state().discarded);
        for number in discarded {
            if stopping.is_cancelled() {
                return;
            }
            match self.network.remove_slot(number).await {
                Ok(()) => self.state().numbers.give_back(number),
                Err(error) => {
                    // Its number is not used again before the next start looks at it.
                    tracing::warn!(error = crate::chain(&error), "a network slot stays");
                }
            }
        }
    }

    /// Keeps the host's part of the network true until the server stops.
    pub(crate) async fn follow_host(self: Arc<Self>, stopping: CancellationToken) {
        stopping.run_until_cancelled_owned(self.network.follow_host()).await;
    }

    /// Removes every slot and the host's own part of the network.
    pub(crate) async fn remove_network(&self) -> Result<(), SlotError> {
        Ok(self.network.remove_all().await?)
    }

    /// Keeps slots ready until the server stops, then removes the unused ones.
    pub(crate) async fn keep_ready(self: Arc<Self>, stopping: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.tick().await;
        self.fill(&stopping).await;
        self.remove_discarded(&stopping).await;
        while !stopping.is_cancelled() {
            self.fill(&stopping).await;
            tokio::select! {
                () = self.taken.notified() => {}
                _ = look.tick() => self.shrink().await,
                () = stopping.cancelled() => {}
            }
        }
        let unused = std::mem::take(&mut self.state().ready);
        self.remove(unused).await;
    }

    async fn fill(&self, stopping: &CancellationToken) {
        let short = || {
            let state = self.state();
            state.ready.len() < state.stock.wanted()
        };
        while !stopping.is_cancelled() && short() {
            match self.make().await {
                Ok(slot) => self.state().ready.push(slot),
                Err(error) => {
                    tracing::warn!(error = crate::chain(&error), "no network slot made ahead");
                    return;
                }
            }
        }
    }

    async fn shrink(&self) {
        let surplus = {
            let mut state = self.state();
            state.stock.looked();
            let wanted = state.stock.wanted();
            let keep = state.ready.len().min(wanted);
            state.ready.split_off(keep)
        };
        self.remove(surplus).await;
    }

    async fn remove(&self, slots: Vec<Arc<Slot>>) {
        for slot in slots {
            if let Err(error) = self.release(&slot).await {
                tracing::warn!(
                    error = crate::chain(&error),
                    "a network slot stays until the next start"
                );
            }
        }
    }
}
