//! New connections to apps.

use std::sync::Arc;

use pando_types::SandboxId;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::patience::Patience;
use crate::backend::{Backend, ConnectError};
use crate::edge::{Shared, Target};
use crate::lane::Visit;
use crate::limits;
use crate::socket;
use crate::trouble::Trouble;

impl<B: Backend> Shared<B> {
    /// A new stream for `visit`: on another lane than it came on if the sandbox ended or
    /// fell asleep meanwhile, for then nobody can tell where a stream leads.
    pub(super) async fn open(
        &self,
        mut visit: Visit,
        target: Target,
        patience: Patience,
    ) -> Result<(Visit, TcpStream), Trouble> {
        let Target { sandbox, port } = target;
        let begun = Instant::now();
        while begun.elapsed() < self.limits.wake {
            if visit.lane().is_over() {
                let lane = self.lanes.of(sandbox, Instant::now());
                visit = lane.enter(visit.uses()).map_err(Trouble::Share)?;
            }
            // After the lane was found: what closes it has told the backend before.
            let lane = Arc::clone(visit.lane());
            match lane.over.or(self.wake(sandbox, begun, patience)).await {
                Some(woken) => woken?,
                // Asleep again already.
                None => continue,
            }
            let stream = match lane.over.or(self.connect(target)).await {
                Some(Ok(stream)) => stream,
                Some(Err(ConnectError::Asleep)) | None => continue,
                Some(Err(error)) => {
                    let cause = std::error::Error::source(&error);
                    tracing::debug!(sandbox = sandbox.short(), port, %error, cause, "no connection to the app");
                    return Err(Trouble::of_connect(&error, port));
                }
            };
            if lane.is_over() {
                continue;
            }
            if let Err(error) = socket::prepare(&stream) {
                tracing::debug!(sandbox = sandbox.short(), port, %error, "the app closed at once");
                return Err(Trouble::Unreachable { port });
            }
            return Ok((visit, stream));
        }
        Err(Trouble::NotWoken)
    }

    /// Waits until `sandbox` runs, for a request that waits since `begun`.
    async fn wake(
        &self,
        sandbox: SandboxId,
        begun: Instant,
        patience: Patience,
    ) -> Result<(), Trouble> {
        let (limit, otherwise) = match patience {
            Patience::Page if self.limits.wait_page_after < self.limits.wake => {
                (self.limits.wait_page_after, Trouble::Waking)
            }
            _ => (self.limits.wake, Trouble::NotWoken),
        };
        let woken = timeout_at(begun + limit, self.backend.wake(sandbox)).await;
        let woken = woken.map_err(|_| otherwise)?;
        if matches!(woken, Err(ConnectError::Asleep)) {
            // Asleep again already: the connection will tell.
            return Ok(());
        }
        woken.map_err(|error| {
            let cause = std::error::Error::source(&error);
            tracing::debug!(sandbox = sandbox.short(), %error, cause, "not awake");
            Trouble::of_wake(&error)
        })
    }

    /// A port on which nobody listens is tried for a while: an app is often asked
    /// for in the moment in which it starts.
    async fn connect(&self, target: Target) -> Result<TcpStream, ConnectError> {
        let Target { sandbox, port } = target;
        let last_try = Instant::now() + self.limits.listen_wait;
        loop {
            let attempt = timeout(self.limits.connect, self.backend.connect(sandbox, port)).await;
            match attempt.unwrap_or(Err(ConnectError::Timeout)) {
                Ok(stream) => return Ok(stream),
                Err(ConnectError::Refused | ConnectError::Stopped) if Instant::now() < last_try => {
                    sleep(limits::LISTEN_RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
