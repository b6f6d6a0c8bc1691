//! New connections to apps.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::backend::{Backend, ConnectError};
use crate::edge::{Shared, Target};
use crate::lane::Lane;
use crate::limits;
use crate::socket;
use crate::trouble::Trouble;

impl<B: Backend> Shared<B> {
    /// A new stream, and the lane it is on: another than `lane` if the sandbox ended
    /// meanwhile, for then nobody can tell where the stream leads.
    pub(super) async fn open(
        &self,
        mut lane: Arc<Lane>,
        target: Target,
    ) -> Result<(Arc<Lane>, TcpStream), Trouble> {
        let Target { sandbox, port } = target;
        for _ in 0..limits::MAX_REPLACED {
            if lane.is_over() {
                lane = self.lanes.of(sandbox, Instant::now());
            }
            let stream = self.connect(target).await?;
            if lane.is_over() {
                continue;
            }
            if let Err(error) = socket::prepare(&stream) {
                tracing::debug!(sandbox = sandbox.short(), port, %error, "the app closed at once");
                return Err(Trouble::Unreachable { port });
            }
            return Ok((lane, stream));
        }
        Err(Trouble::Unreachable { port })
    }

    /// A port on which nobody listens is tried for a while: an app is often asked
    /// for in the moment in which it starts.
    async fn connect(&self, target: Target) -> Result<TcpStream, Trouble> {
        let Target { sandbox, port } = target;
        let last_try = Instant::now() + self.limits.listen_wait;
        loop {
            let attempt = timeout(self.limits.connect, self.backend.connect(sandbox, port)).await;
            match attempt.unwrap_or(Err(ConnectError::Timeout)) {
                Ok(stream) => return Ok(stream),
                Err(ConnectError::Refused | ConnectError::Stopped) if Instant::now() < last_try => {
                    sleep(limits::LISTEN_RETRY).await;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error);
                    tracing::debug!(sandbox = sandbox.short(), port, %error, cause, "no connection to the app");
                    return Err(Trouble::of_connect(&error, port));
                }
            }
        }
    }
}
