//! Network slots: a few are made ahead, so that a create takes one without
//! waiting for namespaces, links and rules.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use pando_vm::network::{Network, NetworkError, Slot, SlotNumber};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How many slots are kept ready.
const READY: usize = 4;
/// The most slots of one node: what its address pool holds, and more than fits.
const MAX_SLOTS: u32 = 4000;

/// The slots of this node.
pub(crate) struct Slots {
    network: Network,
    state: Mutex<Counted>,
    taken: Notify,
}

#[derive(Default)]
struct Counted {
    used: BTreeSet<SlotNumber>,
    ready: Vec<Arc<Slot>>,
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
    pub(crate) fn new(network: Network) -> Arc<Self> {
        Arc::new(Self { network, state: Mutex::default(), taken: Notify::new() })
    }

    pub(crate) fn mtu(&self) -> u32 {
        self.network.mtu()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot of one's own: a ready one, or one made now.
    pub(crate) async fn take(&self) -> Result<Arc<Slot>, SlotError> {
        let ready = self.state().ready.pop();
        self.taken.notify_one();
        match ready {
            Some(slot) => Ok(slot),
            None => self.make().await,
        }
    }

    async fn make(&self) -> Result<Arc<Slot>, SlotError> {
        let number = {
            let mut state = self.state();
            let free =
                (0..MAX_SLOTS).map(SlotNumber::new).find(|number| !state.used.contains(number));
            let number = free.ok_or(SlotError::None)?;
            state.used.insert(number);
            number
        };
        match self.network.create_slot(number).await {
            Ok(slot) => Ok(Arc::new(slot)),
            Err(error) => {
                self.state().used.remove(&number);
                Err(error.into())
            }
        }
    }

    /// Takes apart a slot that its sandbox needs no more.
    pub(crate) async fn release(&self, slot: &Slot) -> Result<(), SlotError> {
        self.network.remove_slot(slot.number()).await?;
        self.state().used.remove(&slot.number());
        Ok(())
    }

    /// Takes over the slot of a sandbox that an earlier server made.
    pub(crate) fn adopt(&self, number: SlotNumber) -> Result<Arc<Slot>, SlotError> {
        let slot = self.network.open_slot(number)?;
        self.state().used.insert(number);
        Ok(Arc::new(slot))
    }

    /// Removes every slot that no adopted sandbox uses. Before the first `take`.
    pub(crate) async fn remove_unused(&self) -> Result<usize, SlotError> {
        let mut removed = 0;
        for number in self.network.list_slots()? {
            let used = self.state().used.contains(&number);
            if !used {
                self.network.remove_slot(number).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes every slot and the host's own part of the network.
    pub(crate) async fn remove_network(&self) -> Result<(), SlotError> {
        Ok(self.network.remove_all().await?)
    }

    /// Keeps slots ready until the server stops, then removes the unused ones.
    pub(crate) async fn keep_ready(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            while !stopping.is_cancelled() && self.state().ready.len() < READY {
                match self.make().await {
                    Ok(slot) => self.state().ready.push(slot),
                    Err(error) => {
                        tracing::warn!(error = crate::chain(&error), "no network slot made ahead");
                        break;
                    }
                }
            }
            tokio::select! {
                () = self.taken.notified() => {}
                () = stopping.cancelled() => break,
            }
        }
        let unused = std::mem::take(&mut self.state().ready);
        for slot in unused {
            if let Err(error) = self.release(&slot).await {
                tracing::warn!(
                    error = crate::chain(&error),
                    "a network slot stays until the next start"
                );
            }
        }
    }
}
