//! The way into a sandbox: to its agent and to its ports. Whoever takes it wakes one
//! that sleeps.

use std::sync::Arc;

use pando_guest_protocol::SESSION_PORT;
use pando_guest_protocol::session::FailureKind;
use pando_types::SandboxId;
use tokio::net::TcpStream;

use super::{ConnectError, Node, NodeError};
use crate::guest::{Guest, GuestError};
use crate::sandbox::handle::Handle;
use crate::sandbox::policy::State;

/// How often a sandbox is woken for somebody while something else puts it to sleep.
const WAKES: usize = 3;

impl Node {
    /// The client of a sandbox's agent; one that sleeps is woken first. Asking counts
    /// as using it.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::NotRunning`]; [`NodeError::NotWoken`].
    pub async fn access(&self, id: SandboxId) -> Result<Guest, NodeError> {
        let handle = self.shared.find(id).ok_or(NodeError::NotFound)?;
        self.access_of(&handle).await
    }

    /// Returns when a sandbox runs; one that sleeps is woken. Asking counts as using it.
    ///
    /// # Errors
    /// As [`Node::access`].
    pub async fn ensure_running(&self, id: SandboxId) -> Result<(), NodeError> {
        self.access(id).await.map(drop)
    }

    async fn access_of(&self, handle: &Arc<Handle>) -> Result<Guest, NodeError> {
        handle.touch(self.shared.clock.now());
        for _ in 0..WAKES {
            let mut observed = handle.observed.clone();
            // An actor that ended leaves things as they are.
            let _ = observed.wait_for(|observed| !observed.falls_asleep).await;
            if observed.borrow().state != State::Hibernated {
                break;
            }
            self.wake_of(handle).await?;
        }
        self.guest_of(handle)
    }

    /// The client of a running sandbox's agent, if it runs. Asking counts as using it.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::NotRunning`].
    pub fn guest(&self, id: SandboxId) -> Result<Guest, NodeError> {
        self.guest_of(&*self.shared.find(id).ok_or(NodeError::NotFound)?)
    }

    fn guest_of(&self, handle: &Handle) -> Result<Guest, NodeError> {
        let (state, seat) = {
            let observed = handle.observed.borrow();
            (observed.state.clone(), observed.seat.clone())
        };
        match (state, seat) {
            (State::Running, Some(seat)) => {
                handle.touch(self.shared.clock.now());
                Ok(Guest::new(seat, handle.observed.clone()))
            }
            (state, _) => Err(NodeError::NotRunning(state)),
        }
    }

    /// A connection to a port of a sandbox; one that sleeps is woken first. Asking
    /// counts as using it.
    ///
    /// # Errors
    /// Any [`ConnectError`].
    pub async fn connect(&self, id: SandboxId, port: u16) -> Result<TcpStream, ConnectError> {
        // The agent is no app, and talks to this server alone.
        if port == SESSION_PORT {
            return Err(ConnectError::Refused);
        }
        let handle = self.shared.find(id).ok_or(ConnectError::NotFound)?;
        let guest = self.access_of(&handle).await.map_err(|error| match error {
            NodeError::NotRunning(state) => ConnectError::NotRunning(state),
            NodeError::NotWoken(_) => ConnectError::NotWoken(error),
            _ => ConnectError::NotFound,
        })?;
        let connected = guest.connect(port).await;
        if connected.is_ok() {
            handle.answered.note(port);
        }
        connected.map_err(|error| match &error {
            GuestError::Failed(failure) if failure.kind == FailureKind::Refused => {
                if handle.answered.knows(port) {
                    ConnectError::Stopped
                } else {
                    ConnectError::Refused
                }
            }
            _ => ConnectError::Unreachable(error),
        })
    }
}
