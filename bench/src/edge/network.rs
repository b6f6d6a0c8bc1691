//! A network namespace with one link, in which the upstream runs.

use std::net::Ipv4Addr;

use super::command;
use crate::server::PREFIX;

/// Removed with this value.
#[derive(Debug)]
pub(super) struct Network {
    pool: Ipv4Addr,
}

impl Network {
    /// Makes the namespace and its link, in the last /30 of `pool`, a /16.
    pub(super) fn make(pool: Ipv4Addr) -> anyhow::Result<Self> {
        let network = Self { pool };
        network.remove();
        let (name, link, peer) = (Self::name(), Self::link(), Self::peer());
        let (outside, inside) =
            (format!("{}/30", network.host(253)), format!("{}/30", network.inside()));
        let in_it = |arguments: &[&str]| {
            command("ip", &[&["netns", "exec", &name, "ip"], arguments].concat())
        };
        command("ip", &["netns", "add", &name])?;
        command(
            "ip",
            &["link", "add", &link, "type", "veth", "peer", "name", &peer, "netns", &name],
        )?;
        command("ip", &["addr", "add", &outside, "dev", &link])?;
        command("ip", &["link", "set", &link, "up"])?;
        in_it(&["addr", "add", &inside, "dev", &peer])?;
        in_it(&["link", "set", &peer, "up"])?;
        in_it(&["link", "set", "lo", "up"])?;
        Ok(network)
    }

    pub(super) fn name() -> String {
        format!("{PREFIX}-edge")
    }

    /// The address of the upstream's end.
    pub(super) fn inside(&self) -> Ipv4Addr {
        self.host(254)
    }

    fn host(&self, last: u8) -> Ipv4Addr {
        let [first, second, _, _] = self.pool.octets();
        Ipv4Addr::new(first, second, 255, last)
    }

    fn link() -> String {
        format!("{PREFIX}-edge0")
    }

    fn peer() -> String {
        format!("{PREFIX}-edge1")
    }

    /// Removes what is there; the link goes with its end.
    fn remove(&self) {
        let _ = command("ip", &["link", "del", &Self::link()]);
        let _ = command("ip", &["netns", "del", &Self::name()]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.remove();
    }
}
