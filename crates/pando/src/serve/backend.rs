//! What the edge asks, answered by the node and the route table; and what the node asks,
//! answered by the edge.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pando_edge::{Backend, ConnectError, Edge, HostLabel, Resolution};
use pando_node::guest::GuestError;
use pando_node::{ConnectError as NodeConnectError, Node, NodeError, Routes, State, Visitors};
use pando_types::SandboxId;
use pando_types::route::RouteTarget;
use tokio::net::TcpStream;

/// The guests of this node.
pub(super) struct Guests {
    node: Node,
    routes: Routes,
}

impl Guests {
    pub(super) fn new(node: Node, routes: Routes) -> Self {
        Self { node, routes }
    }
}

impl Backend for Guests {
    fn resolve(&self, label: &HostLabel) -> Resolution {
        let target = match label {
            HostLabel::Port { sandbox, port } => {
                return match self.node.observe(*sandbox) {
                    Some(_) => Resolution::Found { sandbox: *sandbox, port: *port },
                    None => Resolution::UnknownSandbox,
                };
            }
            HostLabel::App(label) => self.routes.resolve(label),
            HostLabel::Domain(name) => self.routes.resolve_domain(name),
        };
        match target {
            None => Resolution::UnknownApp,
            Some(RouteTarget { sandbox: Some(sandbox), port }) => {
                Resolution::Found { sandbox, port }
            }
            Some(RouteTarget { sandbox: None, .. }) => Resolution::NotLive,
        }
    }

    fn is_domain(&self, name: &str) -> bool {
        self.routes.is_domain(name)
    }

    fn sleeps(&self, sandbox: SandboxId) -> bool {
        self.node.sleeps(sandbox)
    }

    fn used(&self, sandbox: SandboxId) {
        self.node.used(sandbox);
    }

    async fn wake(&self, sandbox: SandboxId) -> Result<(), ConnectError> {
        self.node.ensure_running(sandbox).await.map_err(|error| match error {
            NodeError::NotFound => ConnectError::NotFound,
            NodeError::NotRunning(State::Hibernated) => ConnectError::Asleep,
            NodeError::NotRunning(_) => ConnectError::NotRunning,
            other => ConnectError::NotWoken(std::io::Error::other(other)),
        })
    }

    async fn connect(&self, sandbox: SandboxId, port: u16) -> Result<TcpStream, ConnectError> {
        self.node.connect_awake(sandbox, port).await.map_err(|error| match error {
            NodeConnectError::NotFound => ConnectError::NotFound,
            NodeConnectError::NotRunning(State::Hibernated) => ConnectError::Asleep,
            NodeConnectError::NotRunning(_) => ConnectError::NotRunning,
            NodeConnectError::Refused => ConnectError::Refused,
            NodeConnectError::Stopped => ConnectError::Stopped,
            NodeConnectError::NotWoken(source) => {
                ConnectError::NotWoken(std::io::Error::other(source))
            }
            NodeConnectError::Unreachable(GuestError::Asleep) => ConnectError::Asleep,
            NodeConnectError::Unreachable(source) => {
                ConnectError::Failed(std::io::Error::other(source))
            }
        })
    }
}

/// Those whom the edge leads into guests. It and the node know each other from then on,
/// for as long as the process lives.
pub(super) struct Led(pub Edge<Guests>);

impl Visitors for Led {
    fn were_there(&self, sandbox: SandboxId) -> bool {
        self.0.was_used(sandbox)
    }

    fn close(&self, sandbox: SandboxId) {
        self.0.close(sandbox);
    }

    fn clear(&self, sandbox: SandboxId, grace: Duration) -> BoxFuture<'static, ()> {
        let edge = self.0.clone();
        async move { edge.clear(sandbox, grace).await }.boxed()
    }
}
