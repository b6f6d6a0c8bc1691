//! The way into a sandbox: to its agent and to its ports. Whoever takes it wakes one
//! that sleeps.

use std::sync::Arc;

use pando_guest_protocol::SESSION_PORT;
use pando_guest_protocol::session::FailureKind;
use pando_types::SandboxId;
use tokio::net::TcpStream;

use super::{ConnectError, Node, NodeError};
use crate::guest::{Guest, GuestError};
use crate::held::Payer;
use crate::sandbox::handle::Handle;
use crate::sandbox::policy::State;

/// How often a sandbox is woken for somebody while something else puts it to sleep.
const WAKES: usize = 3;

impl Node {
    /// The client of a sandbox's agent, whose answers are held for `payer`; one that
    /// sleeps is woken first. Asking counts as using it.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::NotRunning`]; [`NodeError::NotWoken`].
    pub async fn access(&self, id: SandboxId, payer: Payer) -> Result<Guest, NodeError> {
        let handle = self.shared.find(id).ok_or(NodeError::NotFound)?;
        self.access_of(&handle, payer).await
    }

    /// Returns when a sandbox runs; one that sleeps is woken. Where it runs this is no use
    /// of it: whoever goes on to use it says so.
    ///
    /// # Errors
    /// As [`Node::access`].
    pub async fn ensure_running(&self, id: SandboxId) -> Result<(), NodeError> {
        let handle = self.shared.find(id).ok_or(NodeError::NotFound)?;
        self.awake(&handle).await?;
        match handle.observed.borrow().state.clone() {
            State::Running => Ok(()),
            state => Err(NodeError::NotRunning(state)),
        }
    }

    /// Whether a sandbox sleeps, or falls asleep.
    #[must_use]
    pub fn sleeps(&self, id: SandboxId) -> bool {
        self.shared.find(id).is_some_and(|handle| {
            let observed = handle.observed.borrow();
            observed.falls_asleep || observed.state == State::Hibernated
        })
    }

    /// Notes that a sandbox is in use.
    pub fn used(&self, id: SandboxId) {
        if let Some(handle) = self.shared.find(id) {
            handle.usage.touch(self.shared.clock.now());
        }
    }

    async fn access_of(&self, handle: &Arc<Handle>, payer: Payer) -> Result<Guest, NodeError> {
        handle.usage.touch(self.shared.clock.now());
        for _ in 0..WAKES {
            self.awake(handle).await?;
            match self.guest_of(handle, payer) {
                // Asleep again already.
                Err(NodeError::NotRunning(State::Hibernated)) => {}
                outcome => return outcome,
            }
        }
        Err(NodeError::NotRunning(State::Hibernated))
    }

    /// Waits for one that falls asleep, and wakes it.
    async fn awake(&self, handle: &Arc<Handle>) -> Result<(), NodeError> {
        let mut observed = handle.observed.clone();
        // An actor that ended leaves things as they are.
        let _ = observed.wait_for(|observed| !observed.falls_asleep).await;
        if observed.borrow().state == State::Hibernated {
            self.wake_of(handle).await?;
        }
        Ok(())
    }

    /// The client of a running sandbox's agent, if it runs. Asking counts as using it.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::NotRunning`].
    pub fn guest(&self, id: SandboxId, payer: Payer) -> Result<Guest, NodeError> {
        let handle = self.shared.find(id).ok_or(NodeError::NotFound)?;
        handle.usage.touch(self.shared.clock.now());
        self.guest_of(&handle, payer)
    }

    /// The same of one that is awake, for who only looks on: it wakes nothing, and is no use
    /// of it.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::NotRunning`]: [`State::Hibernated`] also of one that
    /// falls asleep.
    pub fn look_on(&self, id: SandboxId, payer: Payer) -> Result<Guest, NodeError> {
        let handle = self.shared.find(id).ok_or(NodeError::NotFound)?;
        Ok(self.guest_of(&handle, payer)?.looking_on())
    }

    fn guest_of(&self, handle: &Handle, payer: Payer) -> Result<Guest, NodeError> {
        let in_use = handle.usage.enter();
        let observed = handle.observed.borrow();
        match (&observed.state, &observed.seat) {
            // What began now would be cut off.
            (State::Running, _) if observed.falls_asleep => {
                Err(NodeError::NotRunning(State::Hibernated))
            }
            (State::Running, Some(seat)) => {
                let account = self.budget.account(payer);
                Ok(Guest::new(seat.clone(), handle.observed.clone(), account, in_use))
            }
            (state, _) => Err(NodeError::NotRunning(state.clone())),
        }
    }

    /// Whether visitors are in a sandbox, or came since this was last asked.
    #[must_use]
    pub fn is_visited(&self, id: SandboxId) -> bool {
        self.shared.visitors().were_there(id)
    }

    /// Whether a sandbox's agent has clients: for commands that run, say.
    #[must_use]
    pub fn is_used(&self, id: SandboxId) -> bool {
        self.shared.find(id).is_some_and(|handle| handle.usage.is_open())
    }

    /// A connection to a port of a sandbox; one that sleeps is woken first. Asking
    /// counts as using it.
    ///
    /// # Errors
    /// Any [`ConnectError`].
    pub async fn connect(&self, id: SandboxId, port: u16) -> Result<TcpStream, ConnectError> {
        let handle = self.shared.find(id).ok_or(ConnectError::NotFound)?;
        connect(&handle, self.access_of(&handle, None).await, port).await
    }

    /// The same, of one that is awake: it wakes nothing, and is no use of it.
    ///
    /// # Errors
    /// Any [`ConnectError`]; [`State::Hibernated`] also of one that falls asleep.
    pub async fn connect_awake(&self, id: SandboxId, port: u16) -> Result<TcpStream, ConnectError> {
        let handle = self.shared.find(id).ok_or(ConnectError::NotFound)?;
        connect(&handle, self.guest_of(&handle, None), port).await
    }
}

async fn connect(
    handle: &Handle,
    guest: Result<Guest, NodeError>,
    port: u16,
) -> Result<TcpStream, ConnectError> {
    // The agent is no app, and talks to this server alone.
    if port == SESSION_PORT {
        return Err(ConnectError::Refused);
    }
    let guest = guest.map_err(|error| match error {
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
            if handle.answered.knows(port) { ConnectError::Stopped } else { ConnectError::Refused }
        }
        _ => ConnectError::Unreachable(error),
    })
}
