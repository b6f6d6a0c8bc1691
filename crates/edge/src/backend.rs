//! What the edge asks of the rest of the system, and nothing more.

use std::io;

use pando_types::SandboxId;
use tokio::net::TcpStream;

use crate::host::HostLabel;

/// Knows where hosts lead and reaches into sandboxes.
pub trait Backend: Send + Sync + 'static {
    /// Where `label` leads. Called on every request: from memory, without I/O.
    fn resolve(&self, label: &HostLabel) -> Resolution;

    /// Whether `name`, in lower case, is a domain of an app: then a request for it is resolved as
    /// [`HostLabel::Domain`]. Called on every request that is not under the suffix: from memory,
    /// without I/O.
    fn is_domain(&self, name: &str) -> bool;

    /// Whether `sandbox` sleeps, or falls asleep. From memory, without I/O.
    fn sleeps(&self, sandbox: SandboxId) -> bool;

    /// Notes that `sandbox` was used within the last second: of those that were, each is
    /// named once a second.
    fn used(&self, sandbox: SandboxId);

    /// Returns once `sandbox` runs: one that sleeps is woken, once, however many ask;
    /// one that falls asleep is waited for and woken. It goes on when nobody waits for
    /// it any more. Where it runs already, this costs nothing and waits for nothing.
    ///
    /// # Errors
    /// [`ConnectError::NotWoken`], or why no connection is possible; [`ConnectError::Asleep`]
    /// when it fell asleep again.
    fn wake(&self, sandbox: SandboxId) -> impl Future<Output = Result<(), ConnectError>> + Send;

    /// A connection to `port` inside `sandbox`, whether its app listens on the
    /// guest's own address or on loopback alone. It wakes nothing.
    ///
    /// # Errors
    /// Each [`ConnectError`] becomes a different answer; [`ConnectError::Refused`] and
    /// [`ConnectError::Stopped`] are asked again for a short while, after
    /// [`ConnectError::Asleep`] the sandbox is woken.
    fn connect(
        &self,
        sandbox: SandboxId,
        port: u16,
    ) -> impl Future<Output = Result<TcpStream, ConnectError>> + Send;
}

/// Where a host leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// To this port of this sandbox.
    Found {
        /// The sandbox that answers.
        sandbox: SandboxId,
        /// The port its app listens on.
        port: u16,
    },
    /// There is no such sandbox.
    UnknownSandbox,
    /// There was such a sandbox; it is gone for good.
    Gone,
    /// No app has this host.
    UnknownApp,
    /// An app has this host, and none of its deployments was live yet.
    NotLive,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The sandbox runs, and nobody listens on the port.
    #[error("nothing listens on the port")]
    Refused,
    /// The sandbox runs, and nobody listens on the port any more: somebody did before.
    #[error("nothing listens on the port any more")]
    Stopped,
    /// There is no such sandbox (any more than when it was resolved).
    #[error("no such sandbox")]
    NotFound,
    /// The sandbox is gone for good.
    #[error("the sandbox is gone")]
    Gone,
    /// The sandbox exists and is not running: paused, or about to stop.
    #[error("the sandbox is not running")]
    NotRunning,
    /// The sandbox sleeps, or falls asleep.
    #[error("the sandbox is asleep")]
    Asleep,
    /// The sandbox sleeps, and could not be woken.
    #[error("the sandbox could not be woken")]
    NotWoken(#[source] io::Error),
    /// Nobody answered in time.
    #[error("the connection timed out")]
    Timeout,
    /// Anything else.
    #[error("the connection failed")]
    Failed(#[source] io::Error),
}
