//! Putting a sandbox to sleep, and waking it: once, however many ask.

use std::sync::{Arc, PoisonError};

use futures_util::FutureExt;
use pando_types::{Epoch, SandboxId};

use super::{Node, NodeError, asked};
use crate::capacity::turns::Crowded;
use crate::sandbox::handle::{Command, Handle, Waking};
use crate::sandbox::policy::State;

impl Node {
    /// Puts a sandbox to sleep: returns when its image is durable and its machine gone.
    /// Its id and its files stay, its connections end. Fine when it sleeps already.
    ///
    /// # Errors
    /// Any [`NodeError`]; it then goes on as before. [`NodeError::NoSpace`] on a full disk.
    pub async fn hibernate(&self, id: SandboxId, epoch: Epoch) -> Result<(), NodeError> {
        let handle = self.handle(id, epoch)?;
        // Nobody uses it by that: it keeps the time of its last use.
        asked(&handle, Command::Hibernate).await
    }

    /// Wakes a sandbox: returns when its agent answers. Fine when it is awake. One that
    /// has failed is booted from its disk.
    ///
    /// # Errors
    /// [`NodeError::NotWoken`] with the cause; it is then as it was.
    pub async fn wake(&self, id: SandboxId, epoch: Epoch) -> Result<(), NodeError> {
        let handle = self.handle(id, epoch)?;
        handle.usage.touch(self.shared.clock.now());
        self.wake_of(&handle).await
    }

    /// Joins the wake that is under way, or begins one.
    pub(super) async fn wake_of(&self, handle: &Arc<Handle>) -> Result<(), NodeError> {
        let Some(waking) = self.waking(handle) else { return Ok(()) };
        waking.await.map_err(NodeError::NotWoken)
    }

    fn waking(&self, handle: &Arc<Handle>) -> Option<Waking> {
        let mut current = handle.waking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waking) = &*current {
            return Some(waking.clone());
        }
        let has_no_machine =
            matches!(handle.observed.borrow().state, State::Hibernated | State::Failed { .. });
        if !has_no_machine {
            return None;
        }
        // In a task of its own: whoever asked first may go away.
        let (this, sleeper) = (self.clone(), Arc::clone(handle));
        let task = self.shared.tasks.spawn(async move {
            let outcome = this.wake_now(&sleeper).await.map_err(Arc::new);
            // It is over: who comes later looks at what is then.
            sleeper.waking.lock().unwrap_or_else(PoisonError::into_inner).take();
            outcome
        });
        let ended =
            |error: tokio::task::JoinError| Err(Arc::new(NodeError::Failed(error.to_string())));
        let waking = task.map(move |outcome| outcome.unwrap_or_else(ended)).boxed().shared();
        *current = Some(waking.clone());
        Some(waking)
    }

    /// In its org's turn, if there is room.
    async fn wake_now(&self, handle: &Handle) -> Result<(), NodeError> {
        self.admit().await?;
        let _turn = match handle.org {
            Some(org) => Some(self.turns.take(org).await.map_err(|Crowded| NodeError::Crowded)?),
            // Of before orgs were written down.
            None => None,
        };
        self.admit().await?;
        asked(handle, Command::Wake).await
    }
}
