//! What the edge asks, answered by the node and the route table.

use pando_edge::{Backend, ConnectError, HostLabel, Resolution};
use pando_node::{ConnectError as NodeConnectError, Node, Routes};
use pando_types::SandboxId;
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
        match label {
            HostLabel::Port { sandbox, port } => match self.node.observe(*sandbox) {
                Some(_) => Resolution::Found { sandbox: *sandbox, port: *port },
                None => Resolution::UnknownSandbox,
            },
            HostLabel::App(label) => match self.routes.resolve(label) {
                None => Resolution::UnknownApp,
                Some(target) => match target.sandbox {
                    Some(sandbox) => Resolution::Found { sandbox, port: target.port },
                    None => Resolution::NotLive,
                },
            },
        }
    }

    async fn connect(&self, sandbox: SandboxId, port: u16) -> Result<TcpStream, ConnectError> {
        self.node.connect(sandbox, port).await.map_err(|error| match error {
            NodeConnectError::NotFound => ConnectError::NotFound,
            NodeConnectError::NotRunning(_) => ConnectError::NotRunning,
            NodeConnectError::Refused => ConnectError::Refused,
            NodeConnectError::Stopped => ConnectError::Stopped,
            NodeConnectError::NotWoken(source) => {
                ConnectError::Failed(std::io::Error::other(source))
            }
            NodeConnectError::Unreachable(source) => {
                ConnectError::Failed(std::io::Error::other(source))
            }
        })
    }
}
