//! What the rest of the node holds of an actor: where its wishes go, and what it
//! sees of the sandbox.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pando_types::{Epoch, Generation, Timestamp};
use pando_vm::driver::VmError;
use pando_vm::network::Slot;
use tokio::sync::{mpsc, oneshot, watch};

use super::control_line::ControlError;
use super::policy::{Denial, State};
use crate::slots::SlotError;

/// A wish, and where its outcome goes.
pub(crate) enum Command {
    Pause(Reply),
    Resume(Reply),
    Delete,
    SetLifecycle { deadline: Option<Timestamp>, persistent: bool, reply: Reply },
}

pub(crate) type Reply = oneshot::Sender<Result<(), ActorError>>;

/// Why a wish was not granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActorError {
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error("the machine did not obey")]
    Vm(#[from] VmError),
    #[error("the guest did not answer")]
    Control(#[from] ControlError),
    #[error("the sandbox's files")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Slot(#[from] SlotError),
}

/// What the rest of the node sees of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub state: State,
    pub generation: Generation,
    pub deadline: Option<Timestamp>,
    pub persistent: bool,
    /// From the wish to an answering agent.
    pub boot: Duration,
}

/// The way to an actor.
#[derive(Debug)]
pub(crate) struct Handle {
    pub epoch: Epoch,
    pub slot: Arc<Slot>,
    /// What sessions show; renewed when the server restarts.
    pub token: Arc<str>,
    pub commands: mpsc::Sender<Command>,
    pub observed: watch::Receiver<Observed>,
    pub last_used: LastUsed,
}

/// When somebody last used a sandbox.
#[derive(Debug)]
pub(crate) struct LastUsed(AtomicI64);

impl LastUsed {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }
}

impl Handle {
    pub(crate) fn touch(&self, now: Timestamp) {
        self.last_used.0.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn last_used(&self) -> Timestamp {
        Timestamp::from_millis(self.last_used.0.load(Ordering::Relaxed))
    }
}
