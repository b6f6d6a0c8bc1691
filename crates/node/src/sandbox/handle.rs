//! What the rest of the node holds of an actor: where its wishes go, and what it
//! sees of the sandbox.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use pando_types::{Epoch, Generation, OrgId, Timestamp};
use pando_vm::driver::VmError;
use pando_vm::network::Slot;
use pando_vm::sys::durable;
use tokio::sync::{mpsc, oneshot, watch};

use super::control_line::ControlError;
use super::policy::{Denial, State};
use super::usage::Usage;
use crate::bake::{BakeError, MachineKey};
use crate::capacity::promised::NotPromised;
use crate::image::{ImageError, Passing};
use crate::node::{Life, NodeError};
use crate::random;
use crate::slots::SlotError;

/// A wish, and where its outcome goes.
pub(crate) enum Command {
    Pause(Reply),
    Resume(Reply),
    Save(Reply<Taken>),
    Hibernate(Reply),
    Wake(Reply),
    Delete,
    SetLife {
        life: Life,
        reply: Reply,
    },
    Lease {
        until: Option<Timestamp>,
        reply: Reply,
    },
    /// Where it runs, its machine may stand still all the same: the disk was full.
    GoOn,
}

pub(crate) type Reply<T = ()> = oneshot::Sender<Result<T, ActorError>>;

/// An image that was taken of a sandbox.
pub(crate) struct Taken {
    pub image: Passing,
    /// How long the sandbox stood still for it.
    pub pause: Duration,
}

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
    #[error("the sandbox's image")]
    Image(#[from] ImageError),
    #[error("the sandbox's disk could not be booted")]
    NotBooted(#[source] Box<BakeError>),
    #[error("the guest took too long to stand still")]
    Restless,
    #[error("the guest mounted other disks than it was told to")]
    NotMounted,
    #[error(transparent)]
    NotPromised(#[from] NotPromised),
}

impl ActorError {
    /// Whether the disk is full.
    pub(crate) fn is_out_of_space(&self) -> bool {
        match self {
            Self::Vm(error) => error.is_out_of_space(),
            Self::Io(error) | Self::Image(ImageError::Io(error)) => durable::is_out_of_space(error),
            _ => false,
        }
    }
}

/// What the rest of the node sees of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub state: State,
    pub generation: Generation,
    pub deadline: Option<Timestamp>,
    pub persistent: bool,
    /// It is not put to sleep before.
    pub leased_until: Option<Timestamp>,
    /// From the wish to an answering agent.
    pub boot: Duration,
    /// How its machine is reached; none while it has no machine.
    pub seat: Option<Seat>,
    /// Whether it is being put to sleep: what comes now would be cut off.
    pub falls_asleep: bool,
}

/// How a sandbox's machine is reached. Each machine that it has gets another.
#[derive(Clone)]
pub(crate) struct Seat {
    pub slot: Arc<Slot>,
    /// What sessions show; renewed when the server restarts.
    pub token: Arc<str>,
}

impl Seat {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        Self { slot, token: random::hex::<32>().into() }
    }
}

impl PartialEq for Seat {
    fn eq(&self, other: &Self) -> bool {
        // No two are the same.
        Arc::ptr_eq(&self.token, &other.token)
    }
}

impl Eq for Seat {}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// A wake that is under way, for all who wait for it.
pub(crate) type Waking = Shared<BoxFuture<'static, Result<(), Arc<NodeError>>>>;

/// The way to an actor.
#[derive(Debug)]
pub(crate) struct Handle {
    pub epoch: Epoch,
    /// Whose it is, where that is known.
    pub org: Option<OrgId>,
    /// What it was made of at first.
    pub machine: MachineKey,
    pub commands: mpsc::Sender<Command>,
    pub observed: watch::Receiver<Observed>,
    pub usage: Arc<Usage>,
    pub answered: Answered,
    pub waking: Mutex<Option<Waking>>,
}

/// The most ports of a sandbox that are known to have answered.
const MAX_ANSWERED: usize = 256;

/// The ports that took a connection since the sandbox, or the server, began: silence on
/// one of them is not what it is on another.
#[derive(Debug, Default)]
pub(crate) struct Answered(Mutex<BTreeSet<u16>>);

impl Answered {
    pub(crate) fn note(&self, port: u16) {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ports.len() < MAX_ANSWERED {
            ports.insert(port);
        }
    }

    pub(crate) fn knows(&self, port: u16) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answered_is_known_and_bounded() {
        let answered = Answered::default();
        (1..=2000).for_each(|port| answered.note(port));
        assert!(answered.knows(1) && !answered.knows(3000));
        assert!(!answered.knows(2000), "one that talks on all ports fills nothing");
    }
}
