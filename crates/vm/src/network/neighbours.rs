//! The networks that this host is connected to, which no guest reaches.

use std::io;

use super::cidr::Cidr;
use super::config::NetworkConfig;
use super::rules::DENIED;
use crate::sys::addresses::{self, Changes, Subnet};

/// Those there are now, in order, without what is denied anyway.
pub(super) fn connected(config: &NetworkConfig) -> io::Result<Vec<Cidr>> {
    Ok(worth_denying(config, addresses::subnets()?))
}

fn worth_denying(config: &NetworkConfig, subnets: Vec<Subnet>) -> Vec<Cidr> {
    let covered = covered(config);
    let mut connected: Vec<_> = subnets
        .into_iter()
        .map(|(address, bits)| Cidr::around(address, bits))
        .filter(|subnet| !covered.iter().any(|covered| covered.holds(subnet)))
        .collect();
    connected.sort();
    connected.dedup();
    connected
}

/// What rules deny that do not change: the links to guests among it, of which one comes
/// or goes with each slot.
fn covered(config: &NetworkConfig) -> Vec<Cidr> {
    let denied = DENIED.iter().filter_map(|range| range.parse().ok());
    denied.chain([Cidr::around(config.pool(), 16)]).collect()
}

/// Word of their changes.
#[derive(Debug)]
pub(super) struct Watch {
    changes: Changes,
    covered: Vec<Cidr>,
}

impl Watch {
    /// Hears what changes from now on.
    pub(super) fn new(config: &NetworkConfig) -> io::Result<Self> {
        Ok(Self { changes: Changes::new()?, covered: covered(config) })
    }

    /// Returns when they may be others.
    pub(super) async fn changed(&self) -> io::Result<()> {
        let matters = |(address, bits)| {
            let subnet = Cidr::around(address, bits);
            !self.covered.iter().any(|covered| covered.holds(&subnet))
        };
        self.changes.next(matters).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_is_denied_anyway_is_left_out() {
        let pool = Ipv4Addr::new(203, 5, 0, 0);
        let config = NetworkConfig::new("pando", pool, &[]).unwrap();
        let found = [
            (Ipv4Addr::LOCALHOST, 8),
            (Ipv4Addr::new(192, 168, 1, 7), 24),
            (Ipv4Addr::new(203, 5, 0, 4), 31),
            (Ipv4Addr::new(203, 0, 113, 4), 24),
            (Ipv4Addr::new(192, 0, 2, 2), 24),
            (Ipv4Addr::new(192, 0, 2, 3), 24),
        ];
        let kept = worth_denying(&config, found.into());
        let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["192.0.2.0/24", "203.0.113.0/24"].map(str::to_owned));
        assert_eq!(covered(&config).len(), DENIED.len() + 1);
    }
}
