//! Why a node did not do what it was asked, and what of it others may read.

use std::sync::Arc;

use pando_types::{Code, PublicError, SnapshotId};
use pando_vm::driver::SPARE_DISKS;

use crate::bake::BakeError;
use crate::capacity::promised::NotPromised;
use crate::data::DataError;
use crate::guest::GuestError;
use crate::image::ImageError;
use crate::sandbox::handle::ActorError;
use crate::sandbox::policy::State;
use crate::slots::SlotError;

/// Seconds after which a refused create is worth another try.
const RETRY_AFTER_SECS: u32 = 5;

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no such sandbox here.
    #[error("the sandbox is not on this node")]
    NotFound,
    /// The asker's epoch is older than what the node knows.
    #[error("the sandbox belongs to a later owner")]
    Fenced,
    /// It is there and does not run.
    #[error("the sandbox is {0}")]
    NotRunning(State),
    /// What is asked does not go with its state.
    #[error("{0}")]
    Denied(String),
    /// There is no such template.
    #[error("there is no template `{name}`; there is {}", known.join(", "))]
    UnknownTemplate {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// No memory left.
    #[error("no memory for another sandbox on this node")]
    NoMemory,
    /// No memory left to promise.
    #[error("the sandboxes on this node may take as much memory already as it promises")]
    MemoryPromised,
    /// Its org has as much awake as it may.
    #[error("{0}")]
    OverQuota(PublicError),
    /// No network slot left.
    #[error("no network for another sandbox on this node")]
    NoSlot,
    /// Too many are being made.
    #[error("too many sandboxes are being created on this node")]
    Crowded,
    /// No disk left.
    #[error("no disk space for another sandbox on this node")]
    NoDisk,
    /// No disk left for a volume to fill.
    #[error("no disk space for a volume of that size on this node")]
    NoHeadroom,
    /// There is no such snapshot here.
    #[error("there is no snapshot {0} on this node")]
    NoSnapshot(SnapshotId),
    /// No spare disk left.
    #[error("a sandbox has at most {SPARE_DISKS} disks beside its root")]
    NoSpare,
    /// No disk left to save a sandbox on: it goes on as before.
    #[error("no disk space to save the sandbox, which goes on: {0}")]
    NoSpace(String),
    /// It sleeps on.
    #[error("the sandbox could not be woken: {0}")]
    NotWoken(#[source] Arc<NodeError>),
    /// The data folder.
    #[error("the data folder")]
    Data(#[from] DataError),
    /// The template could not be baked.
    #[error("the template could not be baked")]
    Bake(#[from] BakeError),
    /// It could not be made.
    #[error("the sandbox could not be made: {0}")]
    NotMade(String),
    /// What its guest said, or did not say, when it was to be saved or woken.
    #[error("the sandbox's guest failed: {0}")]
    Guest(String),
    /// The machine or its files.
    #[error("the sandbox did not obey: {0}")]
    Failed(String),
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

impl From<ActorError> for NodeError {
    fn from(error: ActorError) -> Self {
        let text = crate::chain(&error);
        match error {
            ActorError::Slot(SlotError::None) => Self::NoSlot,
            ActorError::NotPromised(refused) => refused.into(),
            // What cannot be loaded here is not to be had by asking again.
            ActorError::Denied(_) | ActorError::Image(ImageError::Foreign { .. }) => {
                Self::Denied(text)
            }
            ActorError::Control(_) | ActorError::Restless | ActorError::NotMounted => {
                Self::Guest(text)
            }
            error if error.is_out_of_space() => Self::NoSpace(text),
            _ => Self::Failed(text),
        }
    }
}

impl From<NotPromised> for NodeError {
    fn from(refused: NotPromised) -> Self {
        match refused {
            NotPromised::Memory => Self::MemoryPromised,
            NotPromised::Quota(error) => Self::OverQuota(error),
        }
    }
}

impl From<&NodeError> for PublicError {
    fn from(error: &NodeError) -> Self {
        let text = error.to_string();
        match error {
            NodeError::NotFound | NodeError::NoSnapshot(_) => Self::new(Code::NotFound, text),
            NodeError::NotWoken(cause) => match &**cause {
                // Nothing of it is lost, and the next try may do.
                NodeError::Failed(_) | NodeError::Guest(_) => {
                    Self::new(Code::Unavailable, text).retry_after(RETRY_AFTER_SECS)
                }
                cause => Self { message: text, ..Self::from(cause) },
            },
            NodeError::NotRunning(_) | NodeError::Denied(_) => Self::new(Code::Conflict, text),
            NodeError::Guest(_) => Self::new(Code::GuestFailed, text),
            NodeError::NoSpare => Self::invalid("volumes", text),
            NodeError::UnknownTemplate { .. } => Self::invalid("template", text)
                .hint("ask for one of those; without `template`, it is `base`"),
            NodeError::NoDisk | NodeError::NoHeadroom | NodeError::NoSpace(_) => {
                Self::new(Code::InsufficientStorage, text).retry_after(RETRY_AFTER_SECS)
            }
            NodeError::OverQuota(error) => error.clone(),
            NodeError::MemoryPromised => Self::new(Code::Unavailable, text)
                .hint("delete one, or ask for less memory; operators set `--memory-overcommit`")
                .retry_after(RETRY_AFTER_SECS),
            NodeError::NoMemory
            | NodeError::NoSlot
            | NodeError::Crowded
            | NodeError::Stopping
            | NodeError::Fenced => Self::new(Code::Unavailable, text).retry_after(RETRY_AFTER_SECS),
            NodeError::Data(_)
            | NodeError::Bake(_)
            | NodeError::NotMade(_)
            | NodeError::Failed(_) => {
                Self::new(Code::Internal, format!("{text}; the server's log holds the cause"))
            }
        }
    }
}

/// Why there is no connection to a port of a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no such sandbox here.
    #[error("no such sandbox")]
    NotFound,
    /// It is there and does not run.
    #[error("the sandbox is {0}")]
    NotRunning(State),
    /// It sleeps, and could not be woken.
    #[error("the sandbox sleeps on")]
    NotWoken(#[source] NodeError),
    /// Nobody listens on that port.
    #[error("nothing listens on the port")]
    Refused,
    /// Nobody listens on that port, where somebody did before.
    #[error("nothing listens on the port any more")]
    Stopped,
    /// The guest did not answer.
    #[error("the guest did not answer")]
    Unreachable(#[source] GuestError),
}
